/** A step of the schema. Steps that were released never change. */
export type Migration = {
  readonly version: number;
  /** Oldest version whose programs can still write after this step. */
  readonly writableFrom: number;
  /** @param s Quoted name of the schema. */
  readonly sql: (s: string) => string;
};

/** Tables with one partition for each day (UTC). Rows of other days are in the partition `<table>_other`. */
export const dayTables = ['verdict_data', 'sample_data', 'summary_data'] as const;

/*
 * Names are numbers in the large tables: the id of a record takes 12 bytes in place of 30, in the row and in the index. Views
 * have the names. The key of a partitioned table must contain the time, which is part of the record and does not change when
 * the record is sent again.
 */
const names = (s: string) => `
CREATE TABLE ${s}.boxes (
  box integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  first_seen timestamptz NOT NULL DEFAULT now(),
  last_seen timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ${s}.epochs (
  epoch integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  box integer NOT NULL REFERENCES ${s}.boxes,
  name text NOT NULL,
  last_sequence bigint NOT NULL DEFAULT 0,
  UNIQUE (box, name)
);
CREATE TABLE ${s}.watches (
  watch integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  box integer NOT NULL REFERENCES ${s}.boxes,
  name text NOT NULL,
  UNIQUE (box, name)
);
CREATE TABLE ${s}.tags (
  tag integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  box integer NOT NULL REFERENCES ${s}.boxes,
  name text NOT NULL,
  UNIQUE (box, name)
);
CREATE TABLE ${s}.verdict_settings (
  settings integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  watch integer NOT NULL REFERENCES ${s}.watches,
  hash text NOT NULL,
  threshold double precision,
  model text,
  version integer,
  provider text,
  fallbacks jsonb,
  imputed text[],
  tags text[] NOT NULL,
  UNIQUE (watch, hash)
);
`;

const tablesByDay = (s: string) => `
CREATE TABLE ${s}.verdict_data (
  time timestamptz NOT NULL,
  sequence bigint NOT NULL,
  score double precision,
  epoch integer NOT NULL,
  watch integer NOT NULL,
  settings integer NOT NULL,
  verdict text,
  tag_values real[],
  reason text,
  quality jsonb,
  contributions jsonb,
  PRIMARY KEY (watch, time, epoch, sequence)
) PARTITION BY RANGE (time);
CREATE TABLE ${s}.verdict_data_other PARTITION OF ${s}.verdict_data DEFAULT;
CREATE TABLE ${s}.sample_data (
  time timestamptz NOT NULL,
  sequence bigint NOT NULL,
  value double precision,
  epoch integer NOT NULL,
  tag integer NOT NULL,
  quality text,
  PRIMARY KEY (tag, time, epoch, sequence)
) PARTITION BY RANGE (time);
CREATE TABLE ${s}.sample_data_other PARTITION OF ${s}.sample_data DEFAULT;
CREATE TABLE ${s}.summary_data (
  time timestamptz NOT NULL,
  sequence bigint NOT NULL,
  first_sequence bigint NOT NULL,
  epoch integer NOT NULL,
  records text NOT NULL,
  watch text,
  count bigint NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (time, epoch, sequence, first_sequence, records)
) PARTITION BY RANGE (time);
CREATE TABLE ${s}.summary_data_other PARTITION OF ${s}.summary_data DEFAULT;
`;

const smallTables = (s: string) => `
CREATE TABLE ${s}.alarm_data (
  epoch integer NOT NULL REFERENCES ${s}.epochs,
  sequence bigint NOT NULL,
  time timestamptz NOT NULL,
  alarm text,
  watch text,
  state text,
  change text,
  priority text,
  message text,
  body jsonb NOT NULL,
  PRIMARY KEY (epoch, sequence)
);
CREATE INDEX ON ${s}.alarm_data (time);
CREATE TABLE ${s}.loss_data (
  epoch integer NOT NULL REFERENCES ${s}.epochs,
  sequence bigint NOT NULL,
  time timestamptz NOT NULL,
  records text,
  reason text,
  count bigint,
  lost_epoch text,
  first_sequence bigint,
  last_sequence bigint,
  body jsonb NOT NULL,
  PRIMARY KEY (epoch, sequence)
);
CREATE TABLE ${s}.event_data (
  epoch integer NOT NULL REFERENCES ${s}.epochs,
  sequence bigint NOT NULL,
  time timestamptz NOT NULL,
  kind text NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (epoch, sequence)
);
CREATE INDEX ON ${s}.event_data (time);
`;

const views = (s: string) => `
CREATE VIEW ${s}.verdicts AS
  SELECT v.time, b.name AS box, w.name AS watch, v.verdict, v.score, n.threshold, v.reason, n.model, n.version, n.provider,
    n.tags, v.tag_values, v.quality, v.contributions, b.name || '/' || e.name || '/' || v.sequence AS id
  FROM ${s}.verdict_data v JOIN ${s}.epochs e USING (epoch) JOIN ${s}.boxes b USING (box)
    JOIN ${s}.watches w ON w.watch = v.watch JOIN ${s}.verdict_settings n ON n.settings = v.settings;
CREATE VIEW ${s}.samples AS
  SELECT d.time, b.name AS box, t.name AS tag, d.value, coalesce(d.quality, 'good') AS quality,
    b.name || '/' || e.name || '/' || d.sequence AS id
  FROM ${s}.sample_data d JOIN ${s}.epochs e USING (epoch) JOIN ${s}.boxes b USING (box) JOIN ${s}.tags t ON t.tag = d.tag;
CREATE VIEW ${s}.summaries AS
  SELECT d.time, b.name AS box, d.watch, d.records, d.count, d.body,
    b.name || '/' || e.name || '/' || d.first_sequence || '-' || d.sequence AS id
  FROM ${s}.summary_data d JOIN ${s}.epochs e USING (epoch) JOIN ${s}.boxes b USING (box);
CREATE VIEW ${s}.alarms AS
  SELECT d.time, b.name AS box, d.alarm, d.watch, d.state, d.change, d.priority, d.message, d.body,
    b.name || '/' || e.name || '/' || d.sequence AS id
  FROM ${s}.alarm_data d JOIN ${s}.epochs e USING (epoch) JOIN ${s}.boxes b USING (box);
CREATE VIEW ${s}.losses AS
  SELECT d.time, b.name AS box, d.records, d.reason, d.count, d.lost_epoch, d.first_sequence, d.last_sequence, d.body,
    b.name || '/' || e.name || '/' || d.sequence AS id
  FROM ${s}.loss_data d JOIN ${s}.epochs e USING (epoch) JOIN ${s}.boxes b USING (box);
CREATE VIEW ${s}.events AS
  SELECT d.time, b.name AS box, d.kind, d.body, b.name || '/' || e.name || '/' || d.sequence AS id
  FROM ${s}.event_data d JOIN ${s}.epochs e USING (epoch) JOIN ${s}.boxes b USING (box);
`;

/** Steps of the schema, oldest first. */
export const migrations: readonly Migration[] = [
  {
    version: 1,
    writableFrom: 1,
    sql: (s) => [names, tablesByDay, smallTables, views].map((part) => part(s)).join(''),
  },
];

/** Version of the schema that this program writes. */
export const SCHEMA_VERSION = migrations.at(-1)?.version ?? 0;

/** Returns the name of a schema as an identifier of SQL. */
export function quoted(schema: string): string {
  return `"${schema.replaceAll('"', '""')}"`;
}
