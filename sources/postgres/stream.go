package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"cdc/changelog"
	"cdc/schema"
	"cdc/sources"
)

// output takes the stream's transactions. A sources.Writer is one.
type output interface {
	Change(r *sources.Row) error
	Truncate(t *schema.Table, o changelog.TruncateOptions) error
	Message(prefix, content []byte) error
	Commit(ctx context.Context, c sources.Commit) (changelog.Offset, error)
	SourceTime(t changelog.Micros)
}

// guide decides what the stream cannot know by itself.
type guide interface {
	// resolve finds the version of a table that the stream's changes are packed in. It is called within a transaction.
	resolve(ctx context.Context, m *relationMessage) (t *schema.Table, discard bool, err error)
	// boundary is called between transactions when the stream has come to an LSN that is not before until. It reports whether
	// tables must be resolved anew, as idle does.
	boundary(ctx context.Context, at LSN) (anew bool, err error)
	// until is the LSN at which boundary wants to be called, 0 for never.
	until() LSN
	// idle is called when the server says that it has nothing to send up to the LSN.
	idle(ctx context.Context, at LSN, now changelog.Micros) (anew bool, err error)
}

// stream turns the messages of one connection into transactions.
type stream struct {
	feed     *feed
	out      output
	guide    guide
	types    *typeCache
	timeline uint32
	// remedy is what to do when the stream cannot be read.
	remedy string
	// after is the end of what is in the log: transactions whose commit record begins before it are there already.
	after LSN
	// xids is the 64-bit transaction number near which the stream's 32-bit ones lie.
	xids      uint64
	relations map[uint32]*relation

	open  bool // a transaction is
	skip  bool // it is in the log already
	begin beginMessage

	builder schema.Builder
	// oldPacked and newPacked are reused for the rows of one change.
	oldPacked, newPacked []byte
	row                  sources.Row
	received             atomic.Uint64
	asked                chan struct{}
	// passed is told what has been handed over; nil where nobody wants to know.
	passed *passed
}

// run reads until the connection fails.
func (st *stream) run(ctx context.Context) error {
	for {
		payload, err := st.feed.next()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		e, err := parseEnvelope(payload)
		if err != nil {
			return st.corrupt(err)
		}
		if e.keepalive {
			err = st.keepalive(ctx, e)
		} else {
			err = st.message(ctx, e)
		}
		if err != nil {
			return err
		}
	}
}

// corrupt makes a named stop of bytes that cannot be read; other errors pass.
func (st *stream) corrupt(err error) error {
	return &sources.Stop{Stop: changelog.Stop{
		Kind: changelog.StopCorrupt, Position: FormatPosition(Position{Timeline: st.timeline, Commit: st.after, End: st.after}),
		Detail: fmt.Sprintf("the stream cannot be read in the transaction whose commit is at %s: %v", st.begin.commit, err),
		Remedy: st.remedy,
	}}
}

func (st *stream) keepalive(ctx context.Context, e envelope) error {
	now := microsOf(e.sent)
	st.out.SourceTime(now)
	if e.reply {
		select {
		case st.asked <- struct{}{}:
		default:
		}
	}
	if st.open {
		return nil
	}
	st.received.Store(max(st.received.Load(), uint64(e.end)))
	st.passed.reach(e.end)
	if err := st.reach(ctx, e.end); err != nil {
		return err
	}
	if e.end < st.after {
		return nil // the server is still reading what we have
	}
	anew, err := st.guide.idle(ctx, e.end, now)
	if anew {
		st.forget()
	}
	return err
}

// reach tells the guide that everything before the LSN has been handled, if it waits for that.
func (st *stream) reach(ctx context.Context, at LSN) error {
	if until := st.guide.until(); until == 0 || at < until {
		return nil
	}
	anew, err := st.guide.boundary(ctx, at)
	if anew {
		st.forget()
	}
	return err
}

// forget has every table resolved again at its next change.
func (st *stream) forget() {
	for _, r := range st.relations {
		r.ready = false
	}
}

func (st *stream) message(ctx context.Context, e envelope) error {
	kind, body := e.message[0], e.message[1:]
	switch kind {
	case messageInsert:
		return st.insert(ctx, body)
	case messageUpdate:
		return st.update(ctx, body)
	case messageDelete:
		return st.delete(ctx, body)
	case messageBegin:
		return st.onBegin(ctx, body)
	case messageCommit:
		return st.onCommit(ctx, e, body)
	case messageRelation:
		return st.onRelation(body)
	case messageTruncate:
		return st.truncate(ctx, body)
	case messageLogical:
		return st.logical(ctx, e, body)
	case messageType, messageOrigin, messageStreamAbort:
		// Types come from the catalogue. An origin and an abort of a streamed transaction change no row.
		return nil
	default:
		return st.corrupt(fmt.Errorf("message of unknown kind %q: %w", kind, errMessage))
	}
}

func (st *stream) onBegin(ctx context.Context, body []byte) error {
	m, err := parseBegin(body)
	if err == nil && st.open {
		err = fmt.Errorf("a transaction begins within another: %w", errMessage)
	}
	if err != nil {
		return st.corrupt(err)
	}
	st.begin, st.skip = m, m.commit < st.after
	if err := st.reach(ctx, m.commit); err != nil {
		return err
	}
	st.open = true
	return nil
}

func (st *stream) onCommit(ctx context.Context, e envelope, body []byte) error {
	m, err := parseCommit(body)
	if err == nil && (!st.open || m.commit != st.begin.commit || m.end <= m.commit) {
		err = fmt.Errorf("a commit that does not belong to its transaction: %w", errMessage)
	}
	if err != nil {
		return st.corrupt(err)
	}
	st.open = false
	if st.skip {
		return nil
	}
	st.out.SourceTime(microsOf(e.sent))
	at := Position{Timeline: st.timeline, Commit: m.commit, End: m.end}
	xid := st.xid()
	st.passed.transaction(xid, m.end)
	_, err = st.out.Commit(ctx, sources.Commit{Position: FormatPosition(at), XID: xid, Time: microsOf(m.time)})
	st.after = m.end
	st.received.Store(uint64(m.end))
	return err
}

// xid is the transaction's number in 64 bits.
func (st *stream) xid() uint64 {
	full := extendXID(st.xids, st.begin.xid)
	st.xids = max(st.xids, full)
	return full
}

func (st *stream) onRelation(body []byte) error {
	m, err := parseRelation(body)
	if err != nil {
		return st.corrupt(err)
	}
	// The same description again may mean another column of the same name: the table is resolved anew.
	st.relations[m.oid] = &relation{message: m}
	return nil
}

// relation is the table of a change, nil when the change does not count.
func (st *stream) relation(ctx context.Context, oid uint32) (*relation, error) {
	if !st.open {
		return nil, st.corrupt(fmt.Errorf("a change outside a transaction: %w", errMessage))
	}
	if st.skip {
		return nil, nil
	}
	r := st.relations[oid]
	if r == nil {
		return nil, st.corrupt(fmt.Errorf("a change of table %d, which the stream has not described: %w", oid, errMessage))
	}
	if !r.ready {
		t, discard, err := st.guide.resolve(ctx, &r.message)
		if err != nil {
			return nil, err
		}
		r.table, r.discard, r.ready = t, discard, true
		if !discard {
			r.compile(st.types)
		}
	}
	if r.discard {
		return nil, nil
	}
	return r, nil
}

func (st *stream) insert(ctx context.Context, body []byte) error {
	m := reader{b: body}
	r, err := st.relation(ctx, m.u32())
	if r == nil || err != nil {
		return err
	}
	if m.u8() != tupleNew {
		return st.corrupt(errMessage)
	}
	if err := st.newRow(&m, r); err != nil {
		return err
	}
	return st.change(&m, messageInsert, sources.Row{Op: changelog.OpCreate, Table: r.table, After: st.newPacked})
}

func (st *stream) update(ctx context.Context, body []byte) error {
	m := reader{b: body}
	r, err := st.relation(ctx, m.u32())
	if r == nil || err != nil {
		return err
	}
	row := sources.Row{Op: changelog.OpUpdate, Table: r.table}
	kind := m.u8()
	if kind == tupleOldKey || kind == tupleOldFull {
		if err := st.oldRow(&m, r, kind); err != nil {
			return err
		}
		row.Image, row.Before = image(kind), st.oldPacked
		kind = m.u8()
	}
	if kind != tupleNew {
		return st.corrupt(errMessage)
	}
	if err := st.newRow(&m, r); err != nil {
		return err
	}
	row.After = st.newPacked
	return st.change(&m, messageUpdate, row)
}

func (st *stream) delete(ctx context.Context, body []byte) error {
	m := reader{b: body}
	r, err := st.relation(ctx, m.u32())
	if r == nil || err != nil {
		return err
	}
	kind := m.u8()
	if kind != tupleOldKey && kind != tupleOldFull {
		return st.corrupt(errMessage)
	}
	if err := st.oldRow(&m, r, kind); err != nil {
		return err
	}
	return st.change(&m, messageDelete, sources.Row{Op: changelog.OpDelete, Table: r.table, Image: image(kind), Before: st.oldPacked})
}

func (st *stream) newRow(m *reader, r *relation) (err error) {
	st.newPacked, err = r.tuple(m, &st.builder, st.newPacked[:0], false)
	return st.undecodable(r, err)
}

func (st *stream) oldRow(m *reader, r *relation, kind byte) (err error) {
	st.oldPacked, err = r.tuple(m, &st.builder, st.oldPacked[:0], kind == tupleOldKey)
	return st.undecodable(r, err)
}

func (st *stream) undecodable(r *relation, err error) error {
	if err == nil || errors.Is(err, errNeedText) {
		return err
	}
	return st.corrupt(fmt.Errorf("table %s: %w", r.table.FullName(), err))
}

// change hands a row over, once its message is known to be whole.
func (st *stream) change(m *reader, kind byte, row sources.Row) error {
	if err := m.end(kind); err != nil {
		return st.corrupt(err)
	}
	st.row = row
	return st.out.Change(&st.row)
}

func (st *stream) truncate(ctx context.Context, body []byte) error {
	m, err := parseTruncate(body)
	if err != nil {
		return st.corrupt(err)
	}
	for _, oid := range m.oids {
		r, err := st.relation(ctx, oid)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		err = st.out.Truncate(r.table, changelog.TruncateOptions{
			Cascade: m.options&truncateCascade != 0, RestartIdentity: m.options&truncateRestart != 0,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// logical keeps a message. One outside any transaction becomes a transaction of its own, at the place where it was written.
func (st *stream) logical(ctx context.Context, e envelope, body []byte) error {
	m, err := parseLogical(body)
	if err != nil {
		return st.corrupt(err)
	}
	if m.transactional != st.open {
		return st.corrupt(fmt.Errorf("a message on the wrong side of its transaction: %w", errMessage))
	}
	if m.transactional {
		if st.skip {
			return nil
		}
		return st.out.Message(m.prefix, m.content)
	}
	// The LSN is the end of the message's record.
	if m.lsn <= st.after {
		return nil
	}
	if err := st.reach(ctx, m.lsn); err != nil {
		return err
	}
	if err := st.out.Message(m.prefix, m.content); err != nil {
		return err
	}
	at := Position{Timeline: st.timeline, Commit: m.lsn, End: m.lsn}
	_, err = st.out.Commit(ctx, sources.Commit{Position: FormatPosition(at), Time: microsOf(e.sent)})
	st.after = m.lsn
	return err
}

// ticker lets something happen at most once a second, and about once a second when it is asked for as often.
type ticker struct{ next time.Time }

func (t *ticker) due(now time.Time) bool {
	if now.Before(t.next) {
		return false
	}
	t.next = t.next.Add(time.Second)
	if t.next.Before(now) {
		t.next = now.Add(time.Second)
	}
	return true
}
