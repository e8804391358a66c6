// Token counts by real tokenizers: a JSON array of texts on stdin, an array of {tokenizer: count} on stdout.
// The packages: npm install --no-save gpt-tokenizer@4 @anthropic-ai/tokenizer@0.0.4 llama3-tokenizer-js@1
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.cwd() + "/");
const o200k = require("gpt-tokenizer/cjs/encoding/o200k_base");
const claude = require("@anthropic-ai/tokenizer").getTokenizer();
const { default: llama3 } = await import(require.resolve("llama3-tokenizer-js"));

const texts = JSON.parse(readFileSync(0, "utf8"));
const counts = texts.map((text) => ({
  o200k: o200k.encode(text, { allowedSpecial: "all" }).length,
  claude2: claude.encode(text.normalize("NFKC"), "all").length,
  llama3: llama3.encode(text, { bos: false, eos: false }).length,
}));
process.stdout.write(JSON.stringify(counts));
