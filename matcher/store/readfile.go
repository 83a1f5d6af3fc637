package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FileKind is what a file of a database holds.
type FileKind int

// The kinds of files.
const (
	OtherFile    FileKind = iota
	TableFile             // a sorted table of records
	LogFile               // the log of recent commits
	ManifestFile          // the log of the tables; it has the first and last key of each one
)

// KindOfFile returns the kind of the file with a name.
func KindOfFile(name string) FileKind {
	switch {
	case isTable(name):
		return TableFile
	case isLog(name):
		return LogFile
	case strings.HasPrefix(name, "MANIFEST-"):
		return ManifestFile
	}
	return OtherFile
}

// KindOfKey describes what a record with this key is, for reports.
func KindOfKey(key []byte) string {
	if len(key) == 0 {
		return "record"
	}
	if o, ok := originOf(key[0]); ok {
		return "record of " + o.String()
	}
	switch key[0] {
	case kindList:
		return "list"
	case kindJournal:
		return "journal"
	case kindValue:
		return PluginKind
	case kindAudit:
		return AuditKind
	}
	return "record"
}

// Descriptions of records that others than the store own.
const (
	AuditKind  = "audit"
	PluginKind = "data of a plugin"
)

// ReadRecords reads an open file of a database without the database, and calls f with
// everything that it stores: deleted and replaced records, too. The value of a deletion is
// empty; the entries of a manifest have no key. f must not keep its arguments. An
// incomplete entry at the end of a log or a manifest is not an error, because the database
// may be writing the file. ReadRecords does nothing for an OtherFile.
func ReadRecords(ctx context.Context, file *os.File, f func(key, value []byte) error) error {
	name := filepath.Base(file.Name())
	switch KindOfFile(name) {
	case TableFile:
		return readTable(ctx, file, f)
	case LogFile:
		return readLog(ctx, file, name, func(entry []byte) error { return readBatch(entry, f) })
	case ManifestFile:
		return readLog(ctx, file, name, func(entry []byte) error { return f(nil, entry) })
	case OtherFile:
	}
	return nil
}

// readTable reads a sorted table.
func readTable(ctx context.Context, file *os.File, f func(key, value []byte) error) (err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble panics at some kinds of damage
			err = fmt.Errorf("%v", r)
		}
	}()
	readable, err := sstable.NewSimpleReadable(readOnlyFile{file})
	if err != nil {
		return err
	}
	o := &pebble.Options{}
	o.EnsureDefaults()
	r, err := sstable.NewReader(ctx, readable, o.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := readRangeDeletes(ctx, r, f); err != nil {
		return err
	}
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return err
		}
		if err := errors.Join(ctx.Err(), f(kv.K.UserKey, value)); err != nil {
			return err
		}
	}
	return it.Error()
}

// readRangeDeletes passes the ends of the ranges that a table deletes to f.
func readRangeDeletes(ctx context.Context, r *sstable.Reader, f func(key, value []byte) error) error {
	it, err := r.NewRawRangeDelIter(ctx, sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil || it == nil {
		return err
	}
	defer it.Close()
	span, err := it.First()
	for ; span != nil && err == nil; span, err = it.Next() {
		if err := errors.Join(f(span.Start, nil), f(span.End, nil)); err != nil {
			return err
		}
	}
	return err
}

// readLog reads the entries of a log or a manifest.
func readLog(ctx context.Context, file *os.File, name string, f func(entry []byte) error) error {
	number, err := fileNumber(name)
	if err != nil {
		return err
	}
	r := newRecordReader(record.NewReader, io.NewSectionReader(file, 0, math.MaxInt64), number)
	for {
		entry, err := r.Next()
		if err == nil {
			var all bytes.Buffer
			if _, err = io.Copy(&all, entry); err == nil {
				if err := errors.Join(ctx.Err(), f(all.Bytes())); err != nil {
					return err
				}
				continue
			}
		}
		if errors.Is(err, io.EOF) || record.IsInvalidRecord(err) { // the end; damage before it is another error
			return nil
		}
		return err
	}
}

// newRecordReader calls newReader, whose second type is internal to Pebble.
func newRecordReader[N ~uint64](newReader func(io.Reader, N) *record.Reader, file io.Reader, number uint64) *record.Reader {
	return newReader(file, N(number))
}

// fileNumber returns the number in the name of a log or a manifest.
func fileNumber(name string) (uint64, error) {
	return strconv.ParseUint(strings.TrimPrefix(strings.TrimSuffix(name, ".log"), "MANIFEST-"), 10, 64)
}

// readOnlyFile is a file that its user closes itself.
type readOnlyFile struct{ *os.File }

func (f readOnlyFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return fileInfo{info}, nil
}

func (f readOnlyFile) Close() error { return nil }

// fileInfo is a [vfs.FileInfo] without the ID of the device, which nothing here reads.
type fileInfo struct{ os.FileInfo }

func (fileInfo) DeviceID() (id vfs.DeviceID) { return id }

// readBatch passes the writes of a commit to f.
func readBatch(entry []byte, f func(key, value []byte) error) error {
	for r := batchrepr.Read(entry); ; {
		_, key, value, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
}
