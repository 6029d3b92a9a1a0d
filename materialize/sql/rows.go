package sql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cdc/schema"
)

// Rows is the answer to one question. It is for one goroutine, and must be closed.
type Rows struct {
	w      *Worker
	ctx    context.Context
	stop   func() bool
	header Header
	layout *schema.Layout

	buf      []byte
	chunk    chunk
	next     int
	done     bool
	mu       sync.Mutex // guards what follows
	killer   *time.Timer
	canceled bool
}

// Header says what the rows are.
func (r *Rows) Header() *Header { return &r.header }

// Layout is the layout of the rows.
func (r *Rows) Layout() *schema.Layout { return r.layout }

// Next is the next row, or io.EOF. It is valid until the following call.
func (r *Rows) Next() (schema.Row, error) {
	for r.next == r.chunk.len() {
		if r.done {
			return schema.Row{}, io.EOF
		}
		payload, err := r.frame(frameRows)
		if err != nil {
			return schema.Row{}, err
		}
		if payload == nil {
			continue
		}
		if r.chunk, err = readChunk(payload); err != nil {
			return schema.Row{}, r.fail(err)
		}
		r.next = 0
	}
	r.next++
	row, err := r.layout.Row(r.chunk.row(r.next - 1))
	if err != nil {
		return schema.Row{}, r.fail(err)
	}
	return row, nil
}

func (r *Rows) readHeader() error {
	payload, err := r.frame(frameHeader)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(payload, &r.header); err != nil {
		return r.fail(err)
	}
	r.layout, err = schema.NewLayout(r.header.Columns)
	if err != nil {
		return r.fail(err)
	}
	return nil
}

// frame reads the next frame that is not about progress; nil at the end of the answer.
func (r *Rows) frame(want frameKind) ([]byte, error) {
	for {
		kind, payload, grown, err := readFrame(r.w.out, r.buf)
		r.buf = grown
		if err != nil {
			return nil, r.fail(err)
		}
		switch kind {
		case want:
			return payload, nil
		case frameProgress:
			var part float64
			if json.Unmarshal(payload, &part) == nil && r.w.o.Progress != nil {
				r.w.o.Progress(part)
			}
		case frameEnd:
			r.done, r.chunk, r.next = true, chunk{}, 0
			if want == frameHeader {
				return nil, r.fail(errors.New("an answer without a header"))
			}
			return nil, nil
		case frameError:
			r.done = true
			e := &Error{}
			if err := json.Unmarshal(payload, e); err != nil {
				return nil, r.fail(err)
			}
			if e.Code == CodeCanceled {
				e.cause = context.Cause(r.ctx)
			}
			return nil, e
		default:
			return nil, r.fail(fmt.Errorf("unexpected frame of kind %d", kind))
		}
	}
}

// fail is the end of the worker in the middle of an answer, or of the question that the caller gave up.
func (r *Rows) fail(err error) error {
	r.done = true
	dead := r.w.died(err)
	if cause := context.Cause(r.ctx); cause != nil {
		return &Error{Code: CodeCanceled, Message: cause.Error(), cause: cause}
	}
	return dead
}

// cancel asks the worker to end the query, and makes sure that it does.
func (r *Rows) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.canceled {
		return
	}
	r.canceled = true
	f := frameWriter{w: r.w.in}
	f.begin(frameCancel)
	_ = f.end() // the kill makes up for it
	r.killer = time.AfterFunc(cancelGrace, r.w.kill)
}

// Close gives up what has not been read and readies the worker for the next question.
func (r *Rows) Close() error {
	if !r.done {
		r.cancel()
	}
	for !r.done {
		if _, err := r.frame(frameRows); err != nil {
			break
		}
	}
	r.stop()
	r.mu.Lock()
	if r.killer != nil {
		r.killer.Stop()
	}
	r.canceled = true // a cancel that comes late must not hit the next question
	r.mu.Unlock()
	r.w.release()
	return nil
}
