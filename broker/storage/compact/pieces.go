package compact

import "github.com/gregor-mq/gregor/broker/record"

// shortRun is the length in bytes below which a run is copied next to what has been made: many short pieces cost
// more to write than to copy.
const shortRun = 1 << 10

// pieces gathers what is left of a chunk.
type pieces struct {
	data []byte // the chunk
	run  span   // of data: batches that are kept as they are and not in the list yet
	out  []byte // batches that were made, and short runs
	from int    // where the last piece begins in out; -1 if it is not there
	list [][]byte
}

// reset begins with a chunk. What was made of the last one is gone.
func (p *pieces) reset(data []byte) {
	p.data, p.run, p.out, p.from, p.list = data, span{}, p.out[:0], -1, p.list[:0]
}

// asIs keeps the batch at [from, to) of the chunk.
func (p *pieces) asIs(from, to int) {
	if p.run.to != from || p.run.from == p.run.to {
		p.endRun()
		p.run.from = from
	}
	p.run.to = to
}

// endRun puts the run into the list, before anything is made.
func (p *pieces) endRun() {
	run := p.data[p.run.from:p.run.to:p.run.to]
	p.run = span{}
	switch {
	case len(run) == 0:
	case len(run) < shortRun && len(p.list) > 0:
		p.made(append(p.out, run...))
	default:
		p.list, p.from = append(p.list, run), -1
	}
}

// made takes out, which is p.out and batches behind it.
func (p *pieces) made(out []byte) (added record.Batch) {
	added = record.Batch(out[len(p.out):len(out):len(out)])
	if p.from < 0 {
		p.list, p.from = append(p.list, nil), len(p.out)
	}
	p.out = out
	p.list[len(p.list)-1] = out[p.from:len(out):len(out)]
	return added
}
