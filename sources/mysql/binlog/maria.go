package binlog

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MariaGTID names a transaction of a MariaDB server.
type MariaGTID struct {
	Domain, Server uint32
	Seq            uint64
}

// AppendText appends the GTID as the server prints it: domain-server-seq.
func (g MariaGTID) AppendText(b []byte) ([]byte, error) {
	b = append(strconv.AppendUint(b, uint64(g.Domain), 10), '-')
	b = append(strconv.AppendUint(b, uint64(g.Server), 10), '-')
	return strconv.AppendUint(b, g.Seq, 10), nil
}

func (g MariaGTID) String() string {
	b, _ := g.AppendText(nil)
	return string(b)
}

// ParseMariaGTID reads domain-server-seq.
func ParseMariaGTID(text string) (MariaGTID, error) {
	domain, tail, _ := strings.Cut(text, "-")
	server, seq, _ := strings.Cut(tail, "-")
	d, err := strconv.ParseUint(domain, 10, 32)
	s, err2 := strconv.ParseUint(server, 10, 32)
	q, err3 := strconv.ParseUint(seq, 10, 64)
	if err != nil || err2 != nil || err3 != nil {
		return MariaGTID{}, fmt.Errorf("read MariaDB GTID %.60q: %w", text, ErrMalformed)
	}
	return MariaGTID{uint32(d), uint32(s), q}, nil
}

// MariaPos is a place in the log of a MariaDB server: the last transaction of each domain, as in @@gtid_slave_pos. Within a domain
// transactions have one order, and having one means having all before it; between domains there is no order. The zero value is the
// beginning.
type MariaPos struct {
	gtids []MariaGTID // by domain
}

func (p *MariaPos) find(domain uint32) (int, bool) {
	return slices.BinarySearchFunc(p.gtids, domain, func(g MariaGTID, domain uint32) int { return cmp.Compare(g.Domain, domain) })
}

// Add moves its domain to a transaction. It is the last one that counts, not the largest number: a server that does not run with
// gtid_strict_mode may write a smaller number after a larger.
func (p *MariaPos) Add(g MariaGTID) {
	i, found := p.find(g.Domain)
	if !found {
		p.gtids = slices.Insert(p.gtids, i, g)
		return
	}
	p.gtids[i] = g
}

// Contains tells whether a transaction is at or before the position, by its number in its domain.
func (p *MariaPos) Contains(g MariaGTID) bool {
	i, found := p.find(g.Domain)
	return found && g.Seq <= p.gtids[i].Seq
}

// IsSubset tells whether the position is at or before other in every domain it has.
func (p *MariaPos) IsSubset(other *MariaPos) bool {
	return !slices.ContainsFunc(p.gtids, func(g MariaGTID) bool { return !other.Contains(g) })
}

// Equal tells whether both positions are the same, down to the server of each domain's last transaction.
func (p *MariaPos) Equal(other *MariaPos) bool { return slices.Equal(p.gtids, other.gtids) }

// Empty tells whether the position is the beginning.
func (p *MariaPos) Empty() bool { return len(p.gtids) == 0 }

// Domain is the last transaction of a domain.
func (p *MariaPos) Domain(domain uint32) (MariaGTID, bool) {
	i, found := p.find(domain)
	if !found {
		return MariaGTID{}, false
	}
	return p.gtids[i], true
}

// GTIDs are the last transactions, by domain. They are not to be changed.
func (p *MariaPos) GTIDs() []MariaGTID { return p.gtids }

// Clone is a copy that shares nothing with the position.
func (p *MariaPos) Clone() *MariaPos { return &MariaPos{gtids: slices.Clone(p.gtids)} }

// AppendText appends the position as the server prints it, by domain: 0-1-100,1-2-3.
func (p *MariaPos) AppendText(b []byte) ([]byte, error) {
	for i, g := range p.gtids {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = g.AppendText(b)
	}
	return b, nil
}

// String is the position as AppendText writes it.
func (p *MariaPos) String() string {
	b, _ := p.AppendText(nil)
	return string(b)
}

// MarshalText is AppendText.
func (p *MariaPos) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// ParseMariaPos reads the text of a position. A domain may be there only once, as for SET GLOBAL gtid_slave_pos.
func ParseMariaPos(text string) (*MariaPos, error) {
	p := &MariaPos{}
	if strings.TrimSpace(text) == "" {
		return p, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		g, err := ParseMariaGTID(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		p.gtids = append(p.gtids, g)
	}
	slices.SortStableFunc(p.gtids, func(a, b MariaGTID) int { return cmp.Compare(a.Domain, b.Domain) })
	for i := 1; i < len(p.gtids); i++ {
		if p.gtids[i].Domain == p.gtids[i-1].Domain {
			return nil, fmt.Errorf("read MariaDB position: %w: domain %d is there twice", ErrMalformed, p.gtids[i].Domain)
		}
	}
	return p, nil
}

// MariaGTIDEvent stands before each transaction of a MariaDB server (server, sql/log_event.h: Gtid_log_event).
type MariaGTIDEvent struct {
	GTID  MariaGTID
	Flags MariaGTIDFlags
	Extra MariaGTIDExtra
	// CommitID is the same in transactions that were committed together; 0 when Flags say that there is none.
	CommitID uint64
	// XID names the XA transaction that Flags say is prepared or completed.
	XID XID
	// StartAlter is the sequence number of the ALTER's first part, when Extra says that this is its second.
	StartAlter uint64
	// Thread is the connection that wrote the transaction; 0 when it is not told (before 11.5).
	Thread uint32
}

// MariaGTIDFlags are the flags of a MariaGTIDEvent.
type MariaGTIDFlags byte

// Flags of a MariaGTIDEvent.
const (
	// MariaStandalone: the next event alone is the transaction, and no COMMIT follows.
	MariaStandalone    MariaGTIDFlags = 1 << 0
	MariaGroupCommit   MariaGTIDFlags = 1 << 1 // there is a CommitID
	MariaTransactional MariaGTIDFlags = 1 << 2 // it could have been rolled back: no MyISAM in it
	MariaAllowParallel MariaGTIDFlags = 1 << 3
	MariaWaited        MariaGTIDFlags = 1 << 4
	MariaDDL           MariaGTIDFlags = 1 << 5
	MariaPreparedXA    MariaGTIDFlags = 1 << 6 // an XA PREPARE: what follows is not committed yet
	MariaCompletedXA   MariaGTIDFlags = 1 << 7 // an XA COMMIT or XA ROLLBACK of one that was prepared
)

// MariaGTIDExtra are more flags of a MariaGTIDEvent.
type MariaGTIDExtra byte

// More flags of a MariaGTIDEvent. With binlog_alter_two_phase (10.8) the text of an ALTER is there twice: what it does is done by
// the second, if that commits.
const (
	MariaMultiEngine   MariaGTIDExtra = 1 << 0
	MariaStartAlter    MariaGTIDExtra = 1 << 1
	MariaCommitAlter   MariaGTIDExtra = 1 << 2
	MariaRollbackAlter MariaGTIDExtra = 1 << 3
	MariaThreadID      MariaGTIDExtra = 1 << 4
)

// mariaGTIDBytes is the size of the event when its flags ask for less: it is filled up with zeros.
const mariaGTIDBytes = 19

// ParseMariaGTIDEvent reads a MARIADB_GTID.
func ParseMariaGTIDEvent(e Event) (MariaGTIDEvent, error) {
	r := reader{b: e.Body}
	var g MariaGTIDEvent
	g.GTID = MariaGTID{Seq: r.u64(), Domain: r.u32(), Server: e.ServerID}
	g.Flags = MariaGTIDFlags(r.u8())
	if len(e.Body) < mariaGTIDBytes {
		r.fail()
	}
	if g.Flags&MariaGroupCommit != 0 {
		g.CommitID = r.u64()
	}
	if g.Flags&(MariaPreparedXA|MariaCompletedXA) != 0 {
		g.XID.Format = int32(r.u32())
		gtrid, bqual := int(r.u8()), int(r.u8())
		g.XID.GTRID, g.XID.BQUAL = r.take(gtrid), r.take(bqual)
	}
	if len(r.b) > 0 {
		parseMariaExtra(&r, &g)
	}
	return g, r.err(e.Type)
}

func parseMariaExtra(r *reader, g *MariaGTIDEvent) {
	g.Extra = MariaGTIDExtra(r.u8())
	if g.Extra&MariaMultiEngine != 0 {
		r.u8() // how many engines
	}
	if g.Extra&(MariaCommitAlter|MariaRollbackAlter) != 0 {
		g.StartAlter = r.u64()
	}
	if g.Extra&MariaThreadID != 0 {
		g.Thread = r.u32()
	}
}

// MariaGTIDList is a GTID_LIST: the state of the log when the server began the file, the last transaction of each server in each
// domain, that of the domain's last server at its end. A server that was asked for a position also sends one of its own.
type MariaGTIDList struct {
	GTIDs []MariaGTID
	Flags byte
}

// MariaGTIDList flags.
const (
	// MariaListUntilReached says that the replica has reached where it was told to stop.
	MariaListUntilReached = 1
	// MariaListIgnore says that the list only tells a position, for a replica that skips transactions it was not asked about.
	MariaListIgnore = 2
)

const (
	mariaListGTIDBytes = 16
	mariaListCountBits = 28
)

// ParseMariaGTIDList reads a GTID_LIST (server, sql/log_event.h: Gtid_list_log_event).
func ParseMariaGTIDList(e Event) (MariaGTIDList, error) {
	r := reader{b: e.Body}
	word := r.u32()
	list := MariaGTIDList{Flags: byte(word >> mariaListCountBits)}
	n := int(word & (1<<mariaListCountBits - 1))
	if n > len(r.b)/mariaListGTIDBytes {
		r.fail()
		return MariaGTIDList{}, r.err(e.Type)
	}
	list.GTIDs = make([]MariaGTID, n)
	for i := range list.GTIDs {
		list.GTIDs[i] = MariaGTID{r.u32(), r.u32(), r.u64()}
	}
	return list, r.err(e.Type)
}

// Pos is the position that the list stands for.
func (l *MariaGTIDList) Pos() *MariaPos {
	p := &MariaPos{}
	for _, g := range l.GTIDs {
		p.Add(g)
	}
	return p
}
