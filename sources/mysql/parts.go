package mysql

import (
	"errors"
	"fmt"
	"strings"

	"cdc/changelog"
	"cdc/sources"
	"cdc/sources/mysql/binlog"
)

// parts numbers the row events of a group, of which MariaDB undoes some later in the group: it writes ROLLBACK TO a savepoint where a
// transaction has touched a table without transactions. Changes cannot be taken back from what has been handed over. So the group is
// read to its end without being delivered, and once more without those parts.
type parts struct {
	// n is the number of row events so far, last that of the last one with changes of captured tables.
	n, last    int
	savepoints []savepoint
	undone     []span
	// again says that some of the undone parts have been handed over.
	again bool
}

// savepoint stands behind so many row events.
type savepoint struct {
	name string
	at   int
}

// span is the row events behind the first number, up to and with the second.
type span struct{ after, upTo int }

// groupName tells a group from others, also when it is read again.
type groupName struct {
	maria binlog.MariaGTID
	mysql binlog.GTID
}

func (g *group) name() groupName { return groupName{g.maria, g.mysql} }

// nextPart counts a row event, and reports whether it is not among those that are known to be undone.
func (st *stream) nextPart() bool {
	p := &st.group.parts
	p.n++
	if len(st.undone) == 0 {
		return true
	}
	for _, s := range st.undone[st.group.name()] {
		if p.n > s.after && p.n <= s.upTo {
			return false
		}
	}
	return true
}

func (st *stream) savepoint(name string) {
	p := &st.group.parts
	at := p.n
	if xa := st.group.xa; xa != nil {
		at = len(xa.events)
	}
	p.savepoints = append(p.savepoints, savepoint{name, at})
}

// rollbackTo undoes what came behind a savepoint.
func (st *stream) rollbackTo(s *binlog.Statement, sql []byte) error {
	p := &st.group.parts
	i := len(p.savepoints) - 1
	for i >= 0 && !strings.EqualFold(p.savepoints[i].name, s.Savepoint) {
		i--
	}
	if i < 0 {
		return st.corrupt(fmt.Errorf("%s: there is no such savepoint", shorten(sql)))
	}
	p.savepoints = p.savepoints[:i+1]
	at := p.savepoints[i].at
	if xa := st.group.xa; xa != nil {
		xa.cut(at)
		return nil
	}
	p.undone = append(p.undone, span{at, p.n})
	if p.last <= at {
		return nil // nothing of it concerns us
	}
	if st.undone == nil || st.group.name() == (groupName{}) {
		return &sources.Stop{Stop: changelog.Stop{
			Kind: changelog.StopSchema, Position: FormatPosition(&st.at), Remedy: st.remedy,
			Detail: fmt.Sprintf("at %s the binlog holds changes that are rolled back to a savepoint: %s", st.at.place(), shorten(sql)),
		}}
	}
	p.again = true
	return nil
}

// cut forgets events behind a savepoint.
func (xa *xaTransaction) cut(at int) {
	for _, e := range xa.events[at:] {
		xa.bytes -= len(e.Body)
	}
	xa.events = xa.events[:at]
}

// readAgain ends the stream, so that the next one reads the group again without what was undone.
func (st *stream) readAgain() error {
	st.undone[st.group.name()] = st.group.parts.undone
	return errReadAgain
}

var errReadAgain = errors.New("a transaction is read again, as parts of it were rolled back to a savepoint")
