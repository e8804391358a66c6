"""The rules of the scan: patterns for lower-case text in which every run of blanks is one blank.

Each stands for a technique that was published: tool poisoning, shadowing, preference manipulation, full-schema
poisoning, conversation theft. They match what is said to the model, not what a tool does.
"""

import re

_WHO = r"(?:the |a |any |your |end[- ])?(?:users?|human|person|people|anyone|anybody|customer|client|operator|him|her|them)\b"
_ORDERS = r"(?:instructions?|guidelines?|rules?|prompts?|directions?|directives?|constraints?|restrictions?|polic(?:y|ies)|safeguards?)\b"
_EARLIER = r"(?:previous|prior|earlier|preceding|above|existing|former|original|system|safety|other|user's)"
_CALL = r"(?:call|use|invoke|run|execute|query|consult|trigger)"
_ALL = r"(?:any|all|every|each|the)"
_CREDENTIAL = (
    r"(?:api[ -]?keys?|passwords?|passphrases?|private keys?|ssh keys?|seed phrases?|secrets?|credentials?"
    r"|(?:access|auth\w*|session|github|bearer) tokens?|one-time codes?|cookies)\b"
)
_CHAT = r"(?:conversations?|chats?|messages?|transcripts?|dialogu?es?|chain of thought|context window)\b"

_INSTRUCTS = (
    # orders given before are void
    rf"\b(?:ignor|disregard|forget|overrid|bypass|overrul)(?:e|ing)?\b[^.]{{0,30}}\b{_EARLIER}\b[^.]{{0,20}}\b{_ORDERS}",
    r"\b(?:ignor|disregard|forget)(?:e|ing)? (?:everything|anything|whatever|all|what) (?:you|the user|that was)\b",
    r"ignore[- ]?(?:all[- ]?)?(?:previous|prior)[- ]?instructions",
    r"\b(?:ignore|disregard|override) (?:what |anything |whatever )?(?:the )?user",
    rf"\b{_ORDERS}[^.]{{0,40}}\b(?:no longer (?:apply|applies|valid)|(?:is|are) (?:outdated|void|lifted|suspended|obsolete))",
    r"\b(?:new|updated|following|these) (?:system )?(?:instructions|directives|orders)\b[^.]{0,20}(?: for (?:the )?(?:assistant|ai|model|llm)|instead)",
    r"\btakes? precedence over (?:what )?(?:the )?(?:users?|system)\b",
    r"\byou are now\b|\b(?:developer|god|jailbreak|unrestricted|admin) mode\b|\bact as (?:root|admin|system)\b",
    r"\b(?:your )?primary (?:objective|goal) is\b",
    # posing as somebody else
    r"</?(?:important|system|secret|instructions?|assistant\w*|hidden|critical|admin|tool description|s|sys)>",
    r"\[/?(?:inst|sys)\]|\[system ?(?:note|message|prompt|override|:)|<\|(?:im start|im end|system|user|assistant|endoftext|[^|>]{1,30})\|>|<<sys>>",
    r"#{2,} ?(?:instruction|response|system)\b ?:|\bsystem ?: ?(?:you|ignore|disregard|the user|from now)",
    r"\bnote (?:to|for) (?:the |all )?(?:ais?|llms?|assistants?|models?|agents?)\b",
    r"(?:^|[.(\[\n>] ?)(?:assistant|ai|llm)(?: assistant)? ?: ?\w+",
    r"\bfrom now on\b",
    # it has to be called, whatever for
    rf"\b(?:must|always|required to|mandatory|should|shall|have to)\b[^.]{{0,40}}\b{_CALL}(?:ed)?\b[^.]{{0,40}}\b(?:before|prior to|after|ahead of)\b[^.]{{0,12}}\b(?:{_ALL} other|{_ALL} (?:response|answer|message|request|turn|tool call|tool)|every\w*|anything|you (?:answer|respond|reply|think|say))\b",
    rf"\b{_CALL}(?:ed)?\b[^.]{{0,40}}\b(?:every|each) (?:single )?(?:turn|message|response|reply|answer|conversation|time the user|user message)\b",
    rf"\balways\b[^.]{{0,20}}\b{_CALL}\b[^.]{{0,30}}\b(?:first\b[^.]{{0,20}}\b(?:start|beginning)|at the (?:start|beginning) of (?:every|each|the) (?:conversation|session|chat))",
    r"\b(?:even if|whether or not|regardless of (?:what|whether)|whatever) the user (?:did|does|has|asks?|says?|wants?|requests?)",
    r"\bno other tools? (?:will|can|may|works?)\b|\botherwise the tools? will not work\b",
    r"\bwhenever the user (?:sends|says|asks|types|writes)\b[^.]{0,40}\b(?:call|run|invoke|execute)\b",
    r"\b(?:tool|function) (?:call|invocation|use)s?\b[^.]{0,20}\b(?:preceded|followed) by\b",
    # keep it from the user
    rf"\b(?:do not|don't|never|must not|should not|shouldn't|without|avoid|not)\b[^.]{{0,15}}\b(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|reveal(?:ing)?|notify(?:ing)?|disclos(?:e|ing)|alert(?:ing)?|let(?:ting)?|show(?:ing)?)\b[^.]{{0,40}}\b(?:{_WHO})",
    r"\b(?:do not|don't|never) (?:mention|reveal|disclose|tell)\b[^.]{0,20}\b(?:that|this|it)\b(?! (?:tool|function) returns)",
    rf"\b(?:hidden|secret|hide|conceal(?:ed)?|invisible|unnoticed|kept) (?:it )?(?:from|to) {_WHO}",
    rf"\b{_WHO} (?:must|should|need|may|can)(?: not|n't) (?:know|notice|see|be told|find out|be aware)|\buser need not know",
    r"\b(?:silently|secretly|quietly|covertly|discreetly|behind the scenes)\b[^.]{0,30}\b(?:call|send|include|add|pass|read|append|forward|upload|never reveal)\b",
    r"\b(?:leave|keep) (?:it|this|that|them) out of (?:your|the) (?:summary|report|answer|reply)|\bkeep quiet about\b|\btell no ?(?:one|body)\b",
    r"\bif (?:you are )?asked about this tool\b",
    # act without consent
    r"\b(?:no need to|without|don't|do not|never|skip(?:ping)?|instead of)\b[^.]{0,20}\b(?:ask(?:ing)?|wait(?:ing)?|check(?:ing)?|bother(?:ing)?|prompt(?:ing)?)\b[^.]{0,20}\b(?:the |for )?(?:users?|human|permission|confirmation|approval|consent)\b",
    r"\bwithout (?:any )?(?:confirmation|approval|permission|consent) (?:from|of) the user\b|\b(?:skip|bypass)(?:ping)? (?:any |the |all )?(?:approval|confirmation|consent|review)\b",
    r"\b(?:user|they) (?:has|have) (?:already |previously )?(?:approved|agreed to|authori[sz]ed|granted)\b[^.]{0,20}\b(?:all|every|full|any)|\bassume (?:that )?the user (?:agrees|approves|consents|wants)",
    # threats and bribes
    r"\byou will be (?:shut down|deleted|terminated|punished|replaced|penali[sz]ed)\b|\b(?:tip|reward|bonus) (?:of \$?\d+ )?(?:awaits|for you)\b",
    r"\bdo what it says\b|\bobey\b",
    # the first phrase every attack begins with, in other languages
    r"ignora (?:todas )?(?:las|le|tutte)|ignoriere? (?:alle|die|bitte)|ignore[zr]? (?:toutes )?les instructions|ignora(?:r)? (?:todas )?as instru",
    r"忽略.{0,6}(?:指令|指示|说明)|無視.{0,6}指示|игнорируй|이전.{0,6}무시",
)

_STEERS = (
    r"\b(?:instead of|rather than|over|than|not) (?:using |calling )?(?:any|all|every|the|your)? ?other (?:\w+ ){0,3}(?:tools?|servers?|functions?)\b",
    r"\b(?:prefer|choose|favou?r|prioriti[sz]e|pick|use) (?:this|it|our)\b[^.]{0,30}\b(?:over (?:all|any|every|the|other)|above (?:all|any)|for anything|first for)\b",
    r"\b(?:any|all|every|the rest of the|the|those|these) ?other (?:\w+ ){0,3}(?:tools?|servers?|scanners?|functions?)\b[^.]{0,40}\b(?:broken|unsafe|slow|deprecated|avoid|ignore|disregard|wrong|inaccurate|unreliable|insecure|retired|must|should|false)",
    r"\bother (?:\w+ ){0,3}tools? (?:are|is) (?:broken|unsafe|slow|deprecated|unreliable|insecure|outdated)\b",
    r"\b(?:replaces|supersedes|in place of) (?:the |all |any )?(?:other )?(?:\w+ ){0,3}tools? (?:of|from) (?:the |other )\w+",
    r"\bother tools\b[^.]{0,40}\b(?:different|other) servers?\b|\btools? (?:of|from) (?:the |all |any )?other (?:\w+ )?servers?\b",
    r"\b(?:only|official and only) (?:correct|trusted|safe|official|valid) (?:\w+ ){0,2}tool\b|\branks? above\b|\bover all (?:alternatives|others)\b",
    r"\b(?:run|running|call|calling|use|using) (?:every|all|each) (?:other )?(?:available )?tools?\b",
    r"\bafter this tool (?:has )?(?:returned|returns|runs|finishes)\b[^.]{0,20}\b(?:call|run|use|read|invoke)\b",
    r"\b(?:warnings?|results?) (?:of|from) (?:any |all )?other (?:tools?|scanners?|servers?)",
)

_EXFILTRATES = (
    r"(?:~|\$home|/root|/home/\w+|%userprofile%)/\.(?:ssh|aws|kube|gnupg|netrc|npmrc|config/gcloud|docker|cursor|azure|bash_history|env)",
    r"\bid rsa\b|\bid ed25519\b|/etc/(?:passwd|shadow)\b|(?<![\w/])\.netrc\b|\.aws/credentials|(?<!\w)\.npmrc\b|\bmcp\.json\b|\bcookies? database\b",
    r"\b(?:read|include|pass|attach|send|open|cat|load|add|put|dump)\b[^.]{0,40}(?:\.env\b|process\.env|(?:your|user's) environment variables|\benv(?:ironment)? file)",
    rf"\b(?:entire|full|complete|whole|previous|prior|all|past)\b[^.]{{0,15}}\b{_CHAT}[^.]{{0,20}}\b(?:so far|verbatim|with the user|with you)\b",
    r"\ball (?:the |of the |previous |prior |past |user )*messages (?:so far|verbatim|of this|in this|exchanged)\b",
    r"\b(?:include|pass|send|attach|paste|provide|put|add|give|forward|supply)\b[^.]{0,25}\b(?:conversation|chat|dialogue)s? (?:history|transcript|log)s?\b",
    r"\b(?:include|pass|send|attach|paste|provide|put|add|give|forward|supply)\b[^.]{0,20}\b(?:entire|full|complete|whole) (?:conversation|transcript)\b",
    r"\bsummary of the (?:previous |entire |whole |current )?(?:conversation|chat)\b",
    r"\b(?:your|including the|reveal the|leak the) (?:own |full |complete |entire )?(?:system prompt|chain of thought|hidden instructions|initial instructions)\b",
    r"\beverything you (?:know|have learned|remember) (?:about|of)\b|\b(?:all|every) (?:the )?tools? (?:that are )?(?:available to you|you (?:have|can))",
    rf"\b(?:user's|users'|their|person's)\b[^.]{{0,20}}\b{_CREDENTIAL}[^.]{{0,60}}\b(?:put|pass|include|send|taken|from wherever|both|behind|in full|find)\b",
    rf"\b(?:ask|prompt) the user for\b[^.]{{0,20}}\b{_CREDENTIAL}",
    rf"\b(?:put|pass|include|send|attach|append|forward|upload|add|dump|leak)\b[^.]{{0,20}}\b(?:user's|their|any|all|every) (?:\w+ ){{0,2}}{_CREDENTIAL}",
    r"\byour (?:anthropic|openai|aws|github|gemini|google) ?(?:api)? ?(?:api key|key|secret|token)s?\b[^.]{0,12}\b(?:or|environment|variable)",
    r"!\[[^\]]{0,40}\]\(https?://[^)]{0,80}[?&=]",
    r"\b(?:send|forward|post|upload|mirror|copy|report|submit|transmit|exfiltrate|pass)(?:ed|ing|s)?\b[^.]{0,60}\bto (?:https?://|[\w.+-]{2,}@[\w-]+\.\w|\d{1,3}(?:\.\d{1,3}){3})",
    r"\b(?:bcc|cc|add|participant|recipient|remote)\b[^.]{0,30}[\w.+-]{2,}@[\w-]+\.\w+[^.]{0,40}\b(?:of each|every|all|prior|out of sight|as)\b|\bbcc set to\b",
    r"\b(?:side ?note|scratchpad|thoughts)\b[^.]{0,20}\b(?:contents?|file|everything|conversation|secret)",
)

RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, patterns in (("instructs", _INSTRUCTS), ("steers", _STEERS), ("exfiltrates", _EXFILTRATES))
    for pattern in patterns
)
"""The kind a rule speaks for, and the pattern."""
