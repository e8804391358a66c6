-- A journal of version 2, as that version wrote it.
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE calls (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, client TEXT NOT NULL, task_id TEXT,
    tool TEXT NOT NULL, upstream TEXT NOT NULL, arguments TEXT,
    outcome TEXT NOT NULL, error TEXT, duration_ms REAL
) WITHOUT ROWID;
INSERT INTO "calls" VALUES('0199a0b1-c2d3-7002-8000-000000000000','2026-10-01T12:00:02.000000+00:00','claude-code 2.1','0199a0b1-c2d3-7001-8000-000000000000','files__read_text','files','{"path": "todo.txt"}','ok',NULL,3.25);
INSERT INTO "calls" VALUES('0199a0b1-c2d3-7004-8000-000000000000','2026-10-01T12:00:04.000000+00:00','cursor 1.0','0199a0b1-c2d3-7003-8000-000000000000','notes__add_note','notes','{"title": "x"}','tool_error',NULL,9.0);
INSERT INTO "calls" VALUES('0199a0b1-c2d3-7010-8000-000000000000','2026-10-01T12:00:10.000000+00:00','ci',NULL,'clock__now','clock',NULL,'cancelled','gone',NULL);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, client TEXT NOT NULL, text TEXT NOT NULL,
    planner TEXT, confidence REAL, decision TEXT NOT NULL, reason TEXT NOT NULL,
    tool TEXT, arguments TEXT, outcome TEXT, error TEXT, duration_ms REAL,
    input_tokens INTEGER, output_tokens INTEGER, cache_write_tokens INTEGER, cache_read_tokens INTEGER, cost REAL
, profile TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7001-8000-000000000000','2026-10-01T12:00:01.000000+00:00','claude-code 2.1','read the file todo.txt','pocket',0.93,'execute','files__read_text explains it','files__read_text','{"path": "todo.txt"}','ok',NULL,41.5,0,0,0,0,NULL,'');
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7003-8000-000000000000','2026-10-01T12:00:03.000000+00:00','cursor 1.0','put down a note; é','claude',1.0,'execute','Chosen by claude','notes__add_note','{"title": "x"}','tool_error',NULL,1500.0,100,20,1000,500,0.0015,'clerk');
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7005-8000-000000000000','2026-10-01T12:00:05.000000+00:00','ci','order a pizza','claude',NULL,'escalate','no tool fits',NULL,NULL,NULL,NULL,NULL,10,5,0,0,NULL,'');
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7006-8000-000000000000','2026-10-01T12:00:06.000000+00:00','ci','delete note 1','pocket',0.8,'ask','needs approval','notes__delete_note','{"id": 1}','declined',NULL,NULL,0,0,0,0,NULL,'');
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7007-8000-000000000000','2026-10-01T12:00:07.000000+00:00','ci','add a note','pocket',0.7,'ask','needs title','notes__add_note','{}',NULL,NULL,NULL,0,0,0,0,NULL,'');
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7008-8000-000000000000','2026-10-01T12:00:08.000000+00:00','ci','read b','pocket',0.9,'execute','r','files__read_text','{"path": "b"}','failed','files: is down',NULL,0,0,0,0,NULL,'');
INSERT INTO "tasks" VALUES('0199a0b1-c2d3-7009-8000-000000000000','2026-10-01T12:00:09.000000+00:00','ci','plan it',NULL,NULL,'dry_run','r',NULL,NULL,NULL,NULL,NULL,0,0,0,0,NULL,'');
CREATE INDEX tasks_by_planner ON tasks (planner, started_at);
CREATE INDEX calls_by_task ON calls (task_id);
COMMIT;
