BEGIN TRANSACTION;
CREATE TABLE accounts (
	id VARCHAR(40) NOT NULL, 
	name TEXT NOT NULL, 
	owner_email TEXT, 
	webhook_secret TEXT NOT NULL, 
	turn INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_accounts PRIMARY KEY (id)
);
INSERT INTO "accounts" VALUES('acc_019b796dd6007631ade8e89917a6a860','alice','alice@example.com','gAAAAABrCt7nqHzOjJ3fwLHiQlorOXgLbfUyZ44xdpLjN-t1gUrsgFa9-v01_-A2PI9w2Xf_CzfRLZcuvK8JKo4P-vOO0vbmyCBB5t5zKf1zTtoFUZRHRHqKfiSKVAUJiwvbCxZvh692sPXNPu9VhsX-hAKsWGYngA==',3,'2026-01-01 12:00:00.000000');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE api_keys (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	name TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	hint TEXT NOT NULL, 
	scopes JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	revoked_at DATETIME, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);
INSERT INTO "api_keys" VALUES('key_019b796dd6007b72912d3e8d5fe4ce18','acc_019b796dd6007631ade8e89917a6a860','alice','fb0f3f9f3f9ad26d778cccaca4cd3117510b2e0cd06702031d64742697500705','clb_IYmw','["read", "submit", "admin", "operator"]','2026-01-01 12:00:00.000000',NULL);
CREATE TABLE attempts (
	delivery_id VARCHAR(40) NOT NULL, 
	number INTEGER NOT NULL, 
	status INTEGER, 
	error TEXT, 
	response TEXT NOT NULL, 
	milliseconds INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, manual BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (delivery_id, number), 
	CONSTRAINT fk_attempts_delivery_id FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
INSERT INTO "attempts" VALUES('dlv_019b796dd6007e22bf10e0528643f2e0',1,500,'500','no',12,'2026-01-01 12:00:00.000000',0);
CREATE TABLE callbacks (
	id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40) NOT NULL, 
	provider TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	headers JSON NOT NULL, 
	body BLOB NOT NULL, 
	repeats INTEGER NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	note TEXT NOT NULL, 
	claims INTEGER NOT NULL, 
	due_at DATETIME, 
	received_at DATETIME NOT NULL, 
	CONSTRAINT pk_callbacks PRIMARY KEY (id), 
	CONSTRAINT fk_callbacks_job_id FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT uq_callbacks_job_id_digest UNIQUE (job_id, digest)
);
INSERT INTO "callbacks" VALUES('cbk_019b796dd60073058e02c1aa4dd30518','job_019b796dd60078e6b37ab0912e289841','apixo','ae64196db7fe3eccb7a320032b6a44caff13bfc21fa264713fba1a5368a7cb6a','{"X": "y"}',X'7B22636F6465223A3230307D',0,'received','',0,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000');
CREATE TABLE channels (
	name VARCHAR(40) NOT NULL, 
	paused_until DATETIME NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_channels PRIMARY KEY (name)
);
CREATE TABLE "deliveries" (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	event_id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40), 
	subscription_id VARCHAR(40) NOT NULL, 
	channel TEXT NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	attempts INTEGER NOT NULL, 
	body BLOB, 
	claims INTEGER NOT NULL, 
	due_at DATETIME, 
	created_at DATETIME NOT NULL, 
	finished_at DATETIME, spent INTEGER DEFAULT 0 NOT NULL, leased_until DATETIME, resending VARCHAR(40), resent_at DATETIME, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT fk_deliveries_event_id FOREIGN KEY(event_id) REFERENCES events (id), 
	CONSTRAINT fk_deliveries_job_id FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT fk_deliveries_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_deliveries_subscription_id FOREIGN KEY(subscription_id) REFERENCES subscriptions (id), 
	CONSTRAINT uq_deliveries_event_id_subscription_id UNIQUE (event_id, subscription_id)
);
INSERT INTO "deliveries" VALUES('dlv_019b796dd6007357a28e5711f382d30e','acc_019b796dd6007631ade8e89917a6a860','evt_019b796dd6007e2bb6cfffb6d0305a16','job_019b796dd60078e6b37ab0912e289841','sub_019b796dd600745a9405ace83849be77','webhook','pending',0,NULL,0,'2026-01-01 12:00:30.000000','2026-01-01 12:00:00.000000',NULL,0,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES('dlv_019b796dd6007e22bf10e0528643f2e0','acc_019b796dd6007631ade8e89917a6a860','evt_019b796dd60074888ac1d45df9e69dc0','job_019b796dd6007d31afe4241fd7cf8fae','sub_019b796dd600745a9405ace83849be77','webhook','pending',2,NULL,1,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000',NULL,1,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES('dlv_019b796dd600764caa5aa6d8b39c8d1d','acc_019b796dd6007631ade8e89917a6a860','evt_019b796dd6007e9a942b704991b84d63','job_019b796dd6007a2abd83ed0bf8717c14','sub_019b796dd600745a9405ace83849be77','webhook','pending',0,NULL,0,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000',NULL,0,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES('dlv_019b796dd6007c37a059d6ff691f3ce1','acc_019b796dd6007631ade8e89917a6a860','evt_019b796dd6007fadb82a2d9651194ff9','job_019b796dd6007246b6cf4d01aa36a433','sub_019b796dd600745a9405ace83849be77','webhook','pending',0,NULL,0,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000',NULL,0,NULL,NULL,NULL);
CREATE TABLE "events" (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40), 
	type VARCHAR(40) NOT NULL, 
	sequence INTEGER NOT NULL, 
	once VARCHAR(90) NOT NULL, 
	created_at DATETIME NOT NULL, about JSON, sample BOOLEAN DEFAULT 0 NOT NULL, seq INTEGER, 
	CONSTRAINT pk_events PRIMARY KEY (id), 
	CONSTRAINT uq_events_job_id_sequence UNIQUE (job_id, sequence), 
	CONSTRAINT fk_events_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_events_job_id FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT uq_events_once UNIQUE (once)
);
INSERT INTO "events" VALUES('evt_019b796dd6007e2bb6cfffb6d0305a16','acc_019b796dd6007631ade8e89917a6a860','job_019b796dd60078e6b37ab0912e289841','job.succeeded',1,'job_019b796dd60078e6b37ab0912e289841','2026-01-01 12:00:00.000000',NULL,0,2);
INSERT INTO "events" VALUES('evt_019b796dd60074888ac1d45df9e69dc0','acc_019b796dd6007631ade8e89917a6a860','job_019b796dd6007d31afe4241fd7cf8fae','job.failed',1,'job_019b796dd6007d31afe4241fd7cf8fae','2026-01-01 12:00:00.000000',NULL,0,1);
INSERT INTO "events" VALUES('evt_019b796dd6007e9a942b704991b84d63','acc_019b796dd6007631ade8e89917a6a860','job_019b796dd6007a2abd83ed0bf8717c14','job.unknown',1,'evt_019b796dd6007e9a942b704991b84d63','2026-01-01 12:00:00.000000',NULL,0,3);
INSERT INTO "events" VALUES('evt_019b796dd6007fadb82a2d9651194ff9','acc_019b796dd6007631ade8e89917a6a860','job_019b796dd6007246b6cf4d01aa36a433','job.held',1,'evt_019b796dd6007fadb82a2d9651194ff9','2026-01-01 12:00:00.000000',NULL,0,4);
CREATE TABLE feeds (
	account_id VARCHAR(40) NOT NULL, 
	last_seq INTEGER NOT NULL, first_seq INTEGER DEFAULT '1' NOT NULL, 
	CONSTRAINT pk_feeds PRIMARY KEY (account_id), 
	CONSTRAINT fk_feeds_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "feeds" VALUES('acc_019b796dd6007631ade8e89917a6a860',4,1);
CREATE TABLE idempotency_keys (
	account_id VARCHAR(40) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	status INTEGER, 
	headers JSON, 
	body BLOB, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (account_id, "key"), 
	CONSTRAINT fk_idempotency_keys_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE TABLE jobs (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	model TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	route TEXT NOT NULL, 
	door TEXT NOT NULL, 
	input JSON NOT NULL, 
	metadata JSON NOT NULL, 
	notify JSON, 
	state VARCHAR(40) NOT NULL, 
	task_id TEXT, 
	error JSON, 
	settled_by TEXT, 
	muted BOOLEAN NOT NULL, 
	estimated_min DOUBLE, 
	estimated_max DOUBLE, 
	actual_cost DOUBLE, 
	polls INTEGER NOT NULL, 
	misses INTEGER NOT NULL, 
	claims INTEGER NOT NULL, 
	due_at DATETIME, 
	created_at DATETIME NOT NULL, 
	sent_at DATETIME, 
	submitted_at DATETIME, 
	finished_at DATETIME, 
	deadline_at DATETIME, 
	overdue BOOLEAN NOT NULL, batch_key VARCHAR(40), batch_content VARCHAR(40), 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT fk_jobs_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT uq_jobs_provider_task_id UNIQUE (provider, task_id)
);
INSERT INTO "jobs" VALUES('job_019b796dd6007a2abd83ed0bf8717c14','acc_019b796dd6007631ade8e89917a6a860','kling-2-5-turbo-pro','apixo','auto','clipbell','{"prompt": "queued", "duration": 5, "mode": "text-to-video", "aspect_ratio": "16:9"}','{}',NULL,'unknown',NULL,'{"code": "SUBMIT_TIMEOUT_UNKNOWN", "message": "no answer", "retryable": false, "hint": "Look for it at the provider, then resolve the job: task id, resend or fail.", "provider_code": null}',NULL,0,NULL,NULL,NULL,0,0,1,'2026-01-01 12:05:00.000000','2026-01-01 12:00:00.000000',NULL,NULL,NULL,'2026-01-01 12:05:00.000000',0,NULL,NULL);
INSERT INTO "jobs" VALUES('job_019b796dd60079408240389346ee4de4','acc_019b796dd6007631ade8e89917a6a860','kling-2-5-turbo-pro','apixo','auto','clipbell','{"prompt": "submitted", "duration": 5, "mode": "text-to-video", "aspect_ratio": "16:9"}','{}',NULL,'submitted','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL,NULL,0,NULL,NULL,NULL,4,2,0,'2026-01-01 12:01:30.000000','2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000',NULL,NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES('job_019b796dd60078e6b37ab0912e289841','acc_019b796dd6007631ade8e89917a6a860','kling-2-5-turbo-pro','apixo','auto','clipbell','{"prompt": "succeeded", "duration": 5, "mode": "text-to-video", "aspect_ratio": "16:9"}','{"order": 7}',NULL,'succeeded','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL,'callback',0,NULL,NULL,0.35,0,0,0,NULL,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000',NULL,'2026-01-01 12:00:00.000000',NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES('job_019b796dd6007d31afe4241fd7cf8fae','acc_019b796dd6007631ade8e89917a6a860','kling-2-5-turbo-pro','apixo','auto','clipbell','{"prompt": "failed", "duration": 5, "mode": "text-to-video", "aspect_ratio": "16:9"}','{}',NULL,'failed',NULL,'{"code": "CONTENT_VIOLATION", "message": "no", "retryable": false, "hint": "Change the prompt or image; the provider forbids it.", "provider_code": null}','poll',0,NULL,NULL,NULL,0,0,0,NULL,'2026-01-01 12:00:00.000000',NULL,NULL,'2026-01-01 12:00:00.000000',NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES('job_019b796dd6007246b6cf4d01aa36a433','acc_019b796dd6007631ade8e89917a6a860','kling-2-5-turbo-pro','apixo','auto','clipbell','{"prompt": "unknown", "duration": 5, "mode": "text-to-video", "aspect_ratio": "16:9"}','{}',NULL,'held',NULL,'{"code": "BUDGET", "message": "too dear", "retryable": true, "hint": "Clipbell sends it tomorrow (UTC), or once CLIPBELL_BUDGET is raised.", "provider_code": null}',NULL,0,NULL,NULL,NULL,0,0,1,NULL,'2026-01-01 12:00:00.000000',NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "jobs" VALUES('job_019b796dd6007294ad4b00456819eb0e','acc_019b796dd6007631ade8e89917a6a860','kling-2-5-turbo-pro','apixo','auto','clipbell','{"prompt": "held", "duration": 5, "mode": "text-to-video", "aspect_ratio": "16:9"}','{}','["sub_019b796dd6007d8885a6a56183dea54f"]','queued',NULL,NULL,NULL,0,NULL,NULL,NULL,0,0,0,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000',NULL,NULL,NULL,NULL,0,NULL,NULL);
CREATE TABLE postings (
	subscription_id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40) NOT NULL, 
	reference TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_postings PRIMARY KEY (subscription_id, job_id), 
	CONSTRAINT fk_postings_subscription_id FOREIGN KEY(subscription_id) REFERENCES subscriptions (id), 
	CONSTRAINT fk_postings_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "postings" VALUES('sub_019b796dd600745a9405ace83849be77','job_019b796dd60078e6b37ab0912e289841','C1:1.2:3','2026-01-01 12:00:00.000000');
CREATE TABLE providers (
	name VARCHAR(40) NOT NULL, 
	held TEXT, 
	tokens DOUBLE NOT NULL, 
	refilled_at DATETIME NOT NULL, 
	paused_until DATETIME, trouble TEXT, trouble_since DATETIME, 
	CONSTRAINT pk_providers PRIMARY KEY (name)
);
INSERT INTO "providers" VALUES('apixo',NULL,1000000000.0,'2026-01-01 12:00:00.000000',NULL,'503','2026-01-01 12:00:00.000000');
INSERT INTO "providers" VALUES('segmind','no credits',1000000000.0,'2026-01-01 12:00:00.000000',NULL,NULL,NULL);
CREATE TABLE refusals (
	reason VARCHAR(40) NOT NULL, 
	count INTEGER NOT NULL, 
	CONSTRAINT pk_refusals PRIMARY KEY (reason)
);
INSERT INTO "refusals" VALUES('bad_signature',1);
CREATE TABLE rejected_callbacks (
	id VARCHAR(40) NOT NULL, 
	reason TEXT NOT NULL, 
	remote TEXT NOT NULL, 
	received_at DATETIME NOT NULL, 
	CONSTRAINT pk_rejected_callbacks PRIMARY KEY (id)
);
INSERT INTO "rejected_callbacks" VALUES('rej_019b796dd6007c51a9c8caeac1d48ef8','bad_signature','127.0.0.1','2026-01-01 12:00:00.000000');
CREATE TABLE set_aside (
	work VARCHAR(40) NOT NULL, 
	row_id VARCHAR(40) NOT NULL, 
	reason TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_set_aside PRIMARY KEY (work, row_id)
);
CREATE TABLE steps (
	job_id VARCHAR(40) NOT NULL, 
	number INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	message TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_steps PRIMARY KEY (job_id, number), 
	CONSTRAINT fk_steps_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "steps" VALUES('job_019b796dd60078e6b37ab0912e289841',1,'succeeded','the provider called back','2026-01-01 12:00:00.000000');
INSERT INTO "steps" VALUES('job_019b796dd6007d31afe4241fd7cf8fae',1,'failed','CONTENT_VIOLATION: no','2026-01-01 12:00:00.000000');
INSERT INTO "steps" VALUES('job_019b796dd6007a2abd83ed0bf8717c14',1,'unknown','no answer','2026-01-01 12:00:00.000000');
INSERT INTO "steps" VALUES('job_019b796dd6007246b6cf4d01aa36a433',1,'held','BUDGET: too dear','2026-01-01 12:00:00.000000');
CREATE TABLE subscriptions (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	channel TEXT NOT NULL, 
	target TEXT NOT NULL, 
	target_digest VARCHAR(64) NOT NULL, 
	events JSON NOT NULL, 
	format TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	hidden BOOLEAN NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	disabled_reason TEXT, 
	held_until DATETIME, 
	created_at DATETIME NOT NULL, hook BOOLEAN DEFAULT 0 NOT NULL, models JSON DEFAULT '[]' NOT NULL, metadata JSON DEFAULT '{}' NOT NULL, previous_secret TEXT, previous_until DATETIME, slow_until DATETIME, failing_since DATETIME, exhausted INTEGER DEFAULT 0 NOT NULL, announced_at DATETIME, 
	CONSTRAINT pk_subscriptions PRIMARY KEY (id), 
	CONSTRAINT fk_subscriptions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "subscriptions" VALUES('sub_019b796dd600745a9405ace83849be77','acc_019b796dd6007631ade8e89917a6a860','webhook','gAAAAABrCt7njrr4t4Pl7_E4gbiltxwsrbvKFjzX6JzKQJzu0ipiutFPqz7YddtLLEXcwEV8R0uJaJ7fUlIBB5LBQ4aHNSPOsv3IRSPncLN26i0HAliO-Fs=','19f1352238b915338c91b6a9fdd2dd4be99a13c18e95bbfbf1443ee01fb616b6','[]','standard','gAAAAABrCt7nfKWBiM0cnZE4SlykjKkwv-rbbDUwd_qRmDSGHYPW9tN52HRywhZdgfVQqFMi_7tQTVjMvzn9aLOuWTKjwScNKvGCctXgyrFR49XpFstb3YlPjGdRu6SdNcWRqD8cN2zltpXT8ccDvwqx0ImhSiMCdg==',0,1,NULL,NULL,'2026-01-01 12:00:00.000000',0,'[]','{}',NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO "subscriptions" VALUES('sub_019b796dd6007d8885a6a56183dea54f','acc_019b796dd6007631ade8e89917a6a860','slack','gAAAAABrCt7nmVs_-UZ43OlWTezdzHS9nBQ3UBwcb5J6monV3kHCdCwRw1GQG--RIKuBXmC9JZDCr0OwywqEXg-ETdg_BBsb_4Nm-XNDrdj4yCQVGcpSLgEGtSi9_Ro2FjCwmrZ-RY6f','c03dd23353896a01351aebfec93453019dff914eabea7f2ebfd3cdd1892b0f66','[]','card','gAAAAABrCt7nqHzOjJ3fwLHiQlorOXgLbfUyZ44xdpLjN-t1gUrsgFa9-v01_-A2PI9w2Xf_CzfRLZcuvK8JKo4P-vOO0vbmyCBB5t5zKf1zTtoFUZRHRHqKfiSKVAUJiwvbCxZvh692sPXNPu9VhsX-hAKsWGYngA==',1,1,NULL,NULL,'2026-01-01 12:00:00.000000',0,'[]','{}',NULL,NULL,NULL,NULL,0,NULL);
CREATE TABLE videos (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	provider_url TEXT, 
	provider_expires_at DATETIME, 
	file TEXT, 
	poster_file TEXT, 
	bytes INTEGER, 
	sha256 VARCHAR(64), 
	seconds DOUBLE, 
	width INTEGER, 
	height INTEGER, 
	attempts INTEGER NOT NULL, 
	note TEXT NOT NULL, 
	claims INTEGER NOT NULL, 
	due_at DATETIME, 
	created_at DATETIME NOT NULL, 
	link_expires_at DATETIME NOT NULL, 
	stored_at DATETIME, deleted_at DATETIME, 
	CONSTRAINT pk_videos PRIMARY KEY (id), 
	CONSTRAINT fk_videos_account_id FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_videos_job_id FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT uq_videos_job_id UNIQUE (job_id)
);
INSERT INTO "videos" VALUES('vid_019b796dd60076808594556456ba8c99','acc_019b796dd6007631ade8e89917a6a860','job_019b796dd60078e6b37ab0912e289841','pending','https://example.com/a.mp4','2026-01-02 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'',0,'2026-01-01 12:00:00.000000','2026-01-01 12:00:00.000000','2026-04-01 12:00:00.000000',NULL,NULL);
CREATE TABLE workers (
	id VARCHAR(40) NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_jobs_account_id_id ON jobs (account_id, id);
CREATE INDEX ix_jobs_account_id_sent_at ON jobs (account_id, sent_at);
CREATE INDEX ix_jobs_account_id_state_due_at ON jobs (account_id, state, due_at);
CREATE INDEX ix_jobs_provider_state ON jobs (provider, state);
CREATE INDEX ix_jobs_state_due_at ON jobs (state, due_at);
CREATE INDEX ix_subscriptions_account_id_channel_target_digest ON subscriptions (account_id, channel, target_digest);
CREATE INDEX ix_callbacks_received_at ON callbacks (received_at);
CREATE INDEX ix_callbacks_state_due_at ON callbacks (state, due_at);
CREATE INDEX ix_videos_state_due_at ON videos (state, due_at);
CREATE UNIQUE INDEX ix_jobs_account_id_batch_key ON jobs (account_id, batch_key);
CREATE INDEX ix_events_account_id_id ON events (account_id, id);
CREATE UNIQUE INDEX ix_events_account_id_seq ON events (account_id, seq);
CREATE INDEX ix_events_unnumbered ON events (id) WHERE seq IS NULL;
CREATE INDEX ix_accounts_turn_id ON accounts (turn, id);
CREATE INDEX ix_subscriptions_held ON subscriptions (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX ix_subscriptions_slow ON subscriptions (slow_until) WHERE slow_until IS NOT NULL;
CREATE INDEX ix_deliveries_job_id ON deliveries (job_id);
CREATE INDEX ix_deliveries_state_due_at ON deliveries (state, due_at);
CREATE INDEX ix_deliveries_account_id_state_due_at ON deliveries (account_id, state, due_at);
CREATE INDEX ix_deliveries_account_id_id ON deliveries (account_id, id);
CREATE INDEX ix_deliveries_subscription_id_state_due_at ON deliveries (subscription_id, state, due_at);
CREATE INDEX ix_deliveries_leased ON deliveries (subscription_id, leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX ix_deliveries_resent ON deliveries (account_id, resent_at) WHERE resent_at IS NOT NULL;
CREATE INDEX ix_videos_state_stored_at ON videos (state, stored_at);
CREATE INDEX ix_videos_account_id_state_stored_at ON videos (account_id, state, stored_at);
COMMIT;
