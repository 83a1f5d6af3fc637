-- DuckDB 1.5.6 made duckdb.parquet with this script.
create table t as select
  ('00000000-0000-0000-0000-00000000000' || (i+1))::uuid as face_id,
  case when i = 1 then null else 'n' || i end as name,
  (20+i)::utinyint as age,
  timestamp '2026-05-01 00:00:00.25' + interval (i) day as create_time,
  case when i = 0 then ['a','b c'] when i = 1 then [] else null end as tags,
  {'city': 'C' || i} as location,
  [i::float, (i+0.5)::float, (-i)::float, 0.1::float] as embedding,
  [i::float, (i+0.5)::float, (-i)::float, 0.1::float]::float[4] as fixed,
  [i::double, i+0.5::double, -i::double, 0.1::double] as doubles,
  case when i = 2 then null when i = 3 then [1::utinyint, 2::utinyint] else [i::utinyint, 255::utinyint, 0::utinyint, 7::utinyint] end as small,
  ('\x0' || i || '\xFF\x00\x07')::blob as bin,
  '[' || i || ', ' || (i+0.5) || ', -' || i || ', 0.1]' as txt,
  case when i = 2 then 'nan'::float else i::float end as score
  from range(4) r(i);
copy t to 'duckdb.parquet' (format parquet, compression zstd);
