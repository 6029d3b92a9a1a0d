package testservers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkBytes is what is read and passed on at once.
	chunkBytes = 32 << 10
	// delayedChunks bounds what is under way in one direction of a connection.
	delayedChunks = 256
	// throttleStep is how often a throttled direction may send.
	throttleStep = 10 * time.Millisecond
	// dialLimit bounds the connection to the target.
	dialLimit = 10 * time.Second
)

// CutKind is how a connection is broken.
type CutKind int

const (
	// CutNone breaks nothing.
	CutNone CutKind = iota
	// CutReset ends both sides by RST.
	CutReset
	// CutBlackhole leaves both sides open and passes nothing on any more, nor
	// the end of either: a peer gone without a word.
	CutBlackhole
	// CutHalfClose ends one direction by FIN and leaves the other.
	CutHalfClose
)

// Cut breaks a connection after a number of bytes of one direction.
type Cut struct {
	Kind  CutKind
	After int64 // bytes passed on before it
}

// Flip inverts bits of one byte.
type Flip struct {
	Offset int64 // in the direction, from 0
	Mask   byte  // bits to invert; 0 = all
}

// Stream says what happens to one direction of a connection. The zero value
// passes everything on.
type Stream struct {
	Cut            Cut
	Flips          []Flip
	Delay          time.Duration // of every byte
	BytesPerSecond int64         // 0 = unlimited
}

// Plan is what happens to one connection.
type Plan struct {
	Refuse   bool // reset at once, without reaching the target
	ToServer Stream
	ToClient Stream
}

// ProxyStats counts what a proxy has done since it started.
type ProxyStats struct {
	Accepted int64 // connections
	Open     int64 // connections at this moment
	ToServer int64 // bytes passed on
	ToClient int64
}

// Proxy listens on a loopback port and passes TCP connections on to a target,
// with faults. What a connection suffers is planned when it is accepted
// (SetPlan) or done to all open ones at once (Cut, Hold). Methods may be called
// concurrently.
type Proxy struct {
	listener net.Listener
	ended    chan struct{} // closed when nothing is accepted any more
	running  sync.WaitGroup

	accepted, open, toServer, toClient atomic.Int64

	mu     sync.Mutex // guards what follows
	target string
	plan   func(n int64) Plan
	links  map[*link]struct{}
	held   chan struct{} // closed by Release; nil = answers pass
	last   appliedCut
}

// appliedCut is the newest call of Cut. It also holds for the connections that
// were accepted before it and are still on their way to the target.
type appliedCut struct {
	kind CutKind
	upTo int64 // number of the last connection that had been accepted
}

// StartProxy starts a proxy for the target, a host:port. Close ends it.
func StartProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{
		listener: l, ended: make(chan struct{}), target: target,
		plan: func(int64) Plan { return Plan{} }, links: map[*link]struct{}{},
	}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is the host:port to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port is the port to connect to on 127.0.0.1.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// SetPlan sets what later connections suffer; n counts them from 1.
func (p *Proxy) SetPlan(plan func(n int64) Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Retarget sends later connections to another address.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Cut breaks all open connections. CutHalfClose ends the direction to the
// client.
func (p *Proxy) Cut(kind CutKind) {
	for _, l := range p.cutLinks(kind) {
		l.cut(kind, l.client)
	}
}

// Hold keeps back what servers answer from here on, on all connections, while
// requests still reach them. Release lets it pass.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = make(chan struct{})
	}
}

// Release undoes Hold.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != nil {
		close(p.held)
		p.held = nil
	}
}

// Stats counts connections and bytes.
func (p *Proxy) Stats() ProxyStats {
	return ProxyStats{
		Accepted: p.accepted.Load(), Open: p.open.Load(),
		ToServer: p.toServer.Load(), ToClient: p.toClient.Load(),
	}
}

// Close stops listening, resets the open connections and waits for their end.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	<-p.ended
	p.Cut(CutReset)
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	defer close(p.ended)
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		n := p.accepted.Add(1)
		p.running.Go(func() { p.serve(conn.(*net.TCPConn), n) })
	}
}

// serve passes one connection on until both directions have ended.
func (p *Proxy) serve(client *net.TCPConn, n int64) {
	p.mu.Lock()
	plan, target := p.plan(n), p.target
	p.mu.Unlock()
	if plan.Refuse {
		reset(client)
		return
	}
	conn, err := net.DialTimeout("tcp", target, dialLimit)
	if err != nil {
		reset(client)
		return
	}
	l := newLink(client, conn.(*net.TCPConn))
	kind := p.add(l, n)
	defer p.remove(l)
	l.cut(kind, client)
	var pumps sync.WaitGroup
	pumps.Go(func() {
		l.pump(l.server, l.client, plan.ToServer, &p.toServer, func() <-chan struct{} { return nil })
	})
	pumps.Go(func() {
		l.pump(l.client, l.server, plan.ToClient, &p.toClient, p.holding)
	})
	pumps.Wait()
}

// holding is closed when answers may pass; nil when they may at once.
func (p *Proxy) holding() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// add registers a connection, and returns what must happen to it at once.
func (p *Proxy) add(l *link, n int64) CutKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	p.open.Add(1)
	if n <= p.last.upTo {
		return p.last.kind
	}
	return CutNone
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	p.open.Add(-1)
	l.close()
}

// cutLinks notes a cut, and returns the connections that have reached the target.
func (p *Proxy) cutLinks(kind CutKind) []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = appliedCut{kind: kind, upTo: p.accepted.Load()}
	var all []*link
	for l := range p.links {
		all = append(all, l)
	}
	return all
}

// reset closes a connection by RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // on a dead connection there is nothing left to reset
	_ = c.Close()
}

var _ io.Closer = (*Proxy)(nil)
