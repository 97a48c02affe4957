// Package dumplog is gregorctl dump-log, Kafka's kafka-dump-log: it prints what is in the files of a partition's
// directory, and checks its indexes against the log.
//
// As Kafka's tool it also prints what no broker would take, as far as that can be made out, and ends at the first thing
// that cannot. What it says is wrong with indexes and offsets comes at the very end, to standard error, and does not
// change the exit status.
package dumplog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// Command returns the tool.
func Command() *tool.Command {
	return &tool.Command{
		Name:     "dump-log",
		Script:   "kafka-dump-log",
		Short:    "Print and check the files of a partition: log, indexes and producer snapshots",
		About:    "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.",
		Synopsis: "--files FILE,FILE [option]...",
		Examples: "NAME --files 00000000000000000000.log\n" +
			"NAME --files 00000000000000000000.log --print-data-log\n" +
			"NAME --files 00000000000000000000.index,00000000000000000000.timeindex --verify-index-only\n" +
			"NAME --files __consumer_offsets-0/00000000000000000000.log --offsets-decoder",
		Options: options(),
		Run:     run,
		Fail:    tool.Uncaught,
	}
}

// snapshotOfKRaft is the extension of KRaft's snapshots.
const snapshotOfKRaft = ".checkpoint"

// dump is one run of the tool.
type dump struct {
	env     *tool.Env
	options *jopt.Set
	out     *bufio.Writer
	found   findings
}

func run(_ context.Context, env *tool.Env, options *jopt.Set) error {
	if err := tool.CheckRequired(options, files); err != nil {
		return err
	}
	names, err := options.Value(files)
	if err != nil {
		return err
	}
	if err := refuse(options); err != nil {
		return err
	}
	d := &dump{env: env, options: options, out: bufio.NewWriterSize(env.Stdout, 64<<10)}
	for _, name := range split(names) {
		if err := d.file(newFile(name)); err != nil {
			return errors.Join(err, d.out.Flush())
		}
	}
	if err := d.out.Flush(); err != nil {
		return err
	}
	d.found.print(env.Stderr)
	return nil
}

// split takes a list apart as Java's String.split does: what is empty at the end does not count.
func split(list string) []string {
	if list == "" {
		return []string{""}
	}
	trimmed := strings.TrimRight(list, ",")
	if trimmed == "" {
		return nil
	}
	return strings.Split(trimmed, ",")
}

// file dumps a file as its extension asks for.
func (d *dump) file(f file) error {
	if _, err := fmt.Fprintf(d.out, "Dumping %s\n", f); err != nil {
		return err
	}
	dot := strings.LastIndexByte(f.name(), '.')
	if dot < 0 {
		return throwable.Newf("java.lang.StringIndexOutOfBoundsException", "begin -1, end %d, length %[1]d", len(f.name()))
	}
	switch f.name()[dot:] {
	case segment.LogExt:
		return d.log(f)
	case segment.IndexExt:
		return d.offsetIndex(f)
	case segment.TimeExt:
		return d.timeIndex(f)
	case segment.SnapshotExt:
		return d.snapshot(f)
	case segment.TxnExt:
		return d.txnIndex(f)
	case snapshotOfKRaft:
		return throwable.New(throwable.IllegalArgument, "Snapshots of KRaft's metadata cannot be dumped: "+f.String())
	}
	return d.complain("Ignoring unknown file %s\n", f)
}

// complain writes to standard error, behind what was printed before.
func (d *dump) complain(format string, args ...any) error {
	if err := d.out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(d.env.Stderr, format, args...)
	return err
}

// snapshot prints a file of producers' states.
func (d *dump) snapshot(f file) error {
	data, err := f.readAll()
	if err != nil {
		return err
	}
	entries, err := producer.ParseSnapshot(data)
	if err != nil {
		return d.complain("%v\n", err)
	}
	for _, e := range entries {
		fmt.Fprintf(d.out, "producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d ",
			e.ID, e.Epoch, e.CoordinatorEpoch, optional(e.TxnFirstOffset, e.HasOpenTxn()), e.Timestamp)
		if last, ok := e.LastBatch(); ok {
			fmt.Fprintf(d.out, "firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
				last.FirstSequence(), last.LastSequence, last.LastOffset, last.Delta, last.Timestamp)
		}
		fmt.Fprintln(d.out)
	}
	return nil
}

// optional returns what Java prints of an OptionalLong.
func optional(value int64, ok bool) string {
	if !ok {
		return "OptionalLong.empty"
	}
	return fmt.Sprintf("OptionalLong[%d]", value)
}

// txnIndex prints the aborted transactions of a segment, none if one of them cannot be read. A file that does not exist has none.
func (d *dump) txnIndex(f file) error {
	if _, err := f.offset(); err != nil {
		return err
	}
	data, err := f.readAll()
	if err != nil && throwable.From(err).Class != throwable.NoSuchFile {
		return err
	}
	var lines []byte
	for ; len(data) >= segment.AbortedTxnSize; data = data[segment.AbortedTxnSize:] {
		txn, err := segment.ParseAborted(data)
		version := int8(data[0]) // all that Kafka takes for it
		if err != nil {
			return throwable.Newf(throwable.Kafka, "Unexpected aborted transaction version %d in transaction index %s, current version is 0",
				version, f.absolute())
		}
		lines = fmt.Appendf(lines, "version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n",
			version, txn.ProducerID, txn.FirstOffset, txn.LastOffset, txn.LastStableOffset)
	}
	_, err = d.out.Write(lines)
	return err
}
