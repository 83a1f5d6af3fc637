// Measures the exact search of USearch over files of rows. README.md in the folder above
// describes the protocol. With --check it only loads the library.
//
// USearch for node has no uint8 input for exact search. Bytes are searched as int8: each
// value minus 128, which leaves every difference, and so every distance, as it is.
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { createInterface } from "node:readline";
import { exactSearch, MetricKind } from "usearch";

const version = JSON.parse(readFileSync(new URL("node_modules/usearch/package.json", import.meta.url))).version;

const [rowsPath, queriesPath, encoding, dimText, , queriesText] = process.argv.slice(2);
if (rowsPath === "--check") {
  exactSearch(Int8Array.of(1, 2, 3, 4), Int8Array.of(1, 2), 2, 1, MetricKind.L2sq, 1);
  console.log(version);
  process.exit(0);
}

const dim = Number(dimText);

// readVectors returns an array that starts its own buffer: USearch ignores the offset of
// an array in its buffer.
function readVectors(path) {
  const file = openSync(path);
  const bytes = new Uint8Array(fstatSync(file).size);
  for (let at = 0; at < bytes.length; ) {
    const n = readSync(file, bytes, at, Math.min(bytes.length - at, 1 << 30));
    if (n === 0) throw new Error(`${path}: ended after ${at} bytes`);
    at += n;
  }
  closeSync(file);
  if (encoding === "float32") return new Float32Array(bytes.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] ^= 128; // value - 128 as int8
  return new Int8Array(bytes.buffer);
}

const rows = readVectors(rowsPath);
const queries = readVectors(queriesPath);
if (queries.length !== dim * Number(queriesText)) throw new Error(`${queriesPath}: ${queries.length} values`);

// The float32 files are compared by cosine, the uint8 files by L2.
const metric = encoding === "uint8" ? MetricKind.L2sq : MetricKind.Cos;
const name = encoding === "uint8" ? "usearch exact i8" : "usearch exact f32 cos";
console.log(JSON.stringify({ peer: name, version }));
console.log(JSON.stringify({ ready: true }));

for await (const line of createInterface({ input: process.stdin })) {
  const [peer, count, threads] = line.split(" ").map(Number);
  if (peer !== 0) throw new Error(`no peer ${peer}`);
  const some = queries.subarray(0, count * dim);
  const start = performance.now();
  const found = exactSearch(rows, some, dim, 10, metric, threads);
  const seconds = (performance.now() - start) / 1000;
  console.log(JSON.stringify({ seconds, rows: Array.from(found.keys.subarray(0, 10), Number) }));
}
