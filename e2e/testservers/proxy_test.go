package testservers

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// testLimit bounds every wait of these tests.
const testLimit = 2 * time.Minute

// quiet is how long a test watches for bytes that must not come.
const quiet = 100 * time.Millisecond

// backend is a target whose connections a test handles itself.
type backend struct {
	addr  string
	conns chan *net.TCPConn
}

func startBackend(t *testing.T) *backend {
	t.Helper()
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{addr: l.Addr().String(), conns: make(chan *net.TCPConn, 16)}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.conns <- c.(*net.TCPConn)
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		close(b.conns)
		for c := range b.conns {
			c.Close()
		}
	})
	return b
}

// next is the far end of the connection that was opened last.
func (b *backend) next(t *testing.T) *net.TCPConn {
	t.Helper()
	select {
	case c := <-b.conns:
		t.Cleanup(func() { c.Close() })
		setDeadline(t, c, testLimit)
		return c
	case <-time.After(testLimit):
		t.Fatal("no connection reached the target")
		return nil
	}
}

func startProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := StartProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close proxy: %v", err)
		}
		if open := p.Stats().Open; open != 0 {
			t.Errorf("%d connections open after Close", open)
		}
	})
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	setDeadline(t, c, testLimit)
	return c.(*net.TCPConn)
}

func setDeadline(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatalf("send %q: %v", text, err)
	}
}

func receive(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("receive: got %q, %v; want %q", got[:n], err, want)
	}
	if string(got) != want {
		t.Fatalf("received %q, want %q", got, want)
	}
}

// receiveNothing watches a connection that must stay open and silent.
func receiveNothing(t *testing.T, c net.Conn) {
	t.Helper()
	setDeadline(t, c, quiet)
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want an open and silent connection", n, err)
	}
	setDeadline(t, c, testLimit)
}

func receiveReset(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %d bytes, %v; want a reset", n, err)
	}
}

// dialReset expects a reset, which the kernel may report to the dialer already.
func dialReset(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	setDeadline(t, c, testLimit)
	receiveReset(t, c)
}

func receiveEnd(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("read %d bytes, %v; want the end of the stream", n, err)
	}
}

func always(plan Plan) func(int64) Plan { return func(int64) Plan { return plan } }

func TestProxyPassesBothDirectionsAndTheirEnds(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	send(t, client, "request")
	receive(t, server, "request")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	receiveEnd(t, server)
	send(t, server, "the answer")
	server.Close()
	receive(t, client, "the answer")
	receiveEnd(t, client)
	want := ProxyStats{Accepted: 1, ToServer: 7, ToClient: 10}
	waitFor(t, "counters", func() bool { return p.Stats() == want })
}

func TestProxyPassesLargeStreamUnchanged(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	go func() {
		_, _ = server.Write(sent)
		server.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatalf("received %d bytes that differ from the %d sent", len(got), len(sent))
	}
}

func TestProxyPassesResetOfOneSideToTheOther(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	send(t, client, "x")
	receive(t, server, "x")
	reset(client)
	receiveReset(t, server)
}

func TestProxyResetsAfterBytes(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(always(Plan{ToClient: Stream{Cut: Cut{Kind: CutReset, After: 5}}}))
	client := dial(t, p)
	server := b.next(t)
	send(t, server, "0123456789")
	receive(t, client, "01234")
	receiveReset(t, client)
	receiveReset(t, server)
}

func TestProxyPlanCountsConnections(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(func(n int64) Plan { return Plan{Refuse: n == 1} })
	dialReset(t, p)
	client := dial(t, p)
	server := b.next(t)
	send(t, client, "x")
	receive(t, server, "x")
}

func TestProxyResetsOpenConnections(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	p.Cut(CutReset)
	receiveReset(t, client)
	receiveReset(t, server)
}

// Goal: a cut reaches a connection that the proxy has accepted and not yet
// connected to its target.
//
// Method: the plan, asked for in between, holds the connection until a cut waits
// for its turn.
func TestProxyResetsConnectionsOnTheirWayToTheTarget(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	for range 50 {
		accepted, cut := make(chan struct{}), make(chan struct{})
		p.SetPlan(func(int64) Plan {
			close(accepted)
			for range 100 {
				runtime.Gosched()
			}
			return Plan{}
		})
		client := dial(t, p)
		<-accepted
		go func() {
			defer close(cut)
			p.Cut(CutReset)
		}()
		receiveReset(t, client)
		receiveReset(t, b.next(t))
		<-cut
	}
}

func TestProxyBlackholeLeavesBothSidesOpenAndSilent(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	send(t, client, "before")
	receive(t, server, "before")
	p.Cut(CutBlackhole)
	send(t, client, "lost")
	receiveNothing(t, server)
	server.Close()
	receiveNothing(t, client)
	if got := p.Stats().ToServer; got != 6 {
		t.Errorf("passed %d bytes on, want 6", got)
	}
}

func TestProxyPlannedBlackholeCutsMessageInTheMiddle(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(always(Plan{ToClient: Stream{Cut: Cut{Kind: CutBlackhole, After: 3}}}))
	client := dial(t, p)
	send(t, b.next(t), "message")
	receive(t, client, "mes")
	receiveNothing(t, client)
}

func TestProxyHalfCloseLeavesOtherDirection(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(always(Plan{ToClient: Stream{Cut: Cut{Kind: CutHalfClose, After: 4}}}))
	client := dial(t, p)
	server := b.next(t)
	send(t, server, "seen, lost")
	receive(t, client, "seen")
	receiveEnd(t, client)
	send(t, client, "still here")
	receive(t, server, "still here")
}

func TestProxyDelaysEveryByte(t *testing.T) {
	const delay = 60 * time.Millisecond
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(always(Plan{ToServer: Stream{Delay: delay}}))
	client := dial(t, p)
	server := b.next(t)
	began := time.Now()
	send(t, client, "late")
	receive(t, server, "late")
	if took := time.Since(began); took < delay {
		t.Errorf("arrived after %v, want at least %v", took, delay)
	}
}

func TestProxyThrottles(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(always(Plan{ToServer: Stream{BytesPerSecond: 10_000}}))
	client := dial(t, p)
	server := b.next(t)
	began := time.Now()
	text := string(bytes.Repeat([]byte("x"), 1000))
	send(t, client, text)
	receive(t, server, text)
	// The last step of 100 bytes arrives before its pause.
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("1000 bytes at 10 kB/s arrived after %v", took)
	}
}

func TestProxyFlipsBits(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	p.SetPlan(always(Plan{ToClient: Stream{Flips: []Flip{{Offset: 1, Mask: 0x20}, {Offset: 5, Mask: 0x20}}}}))
	client := dial(t, p)
	server := b.next(t)
	send(t, server, "abc")
	receive(t, client, "aBc")
	send(t, server, "def")
	receive(t, client, "deF")
}

func TestProxyHoldsAnswersWhileRequestsPass(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	p.Hold()
	send(t, client, "commit")
	receive(t, server, "commit")
	send(t, server, "done")
	receiveNothing(t, client)
	p.Release()
	receive(t, client, "done")
}

func TestProxyLosesAnswerThatIsHeldAndReset(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	server := b.next(t)
	p.Hold()
	send(t, client, "commit")
	receive(t, server, "commit")
	send(t, server, "done")
	p.Cut(CutReset)
	p.Release()
	receiveReset(t, client)
	if got := p.Stats().ToClient; got != 0 {
		t.Errorf("passed %d bytes of the answer on", got)
	}
}

func TestProxyRetargetsLaterConnections(t *testing.T) {
	one, two := startBackend(t), startBackend(t)
	p := startProxy(t, one.addr)
	first := dial(t, p)
	farFirst := one.next(t)
	p.Retarget(two.addr)
	second := dial(t, p)
	farSecond := two.next(t)
	send(t, first, "first")
	receive(t, farFirst, "first")
	send(t, second, "second")
	receive(t, farSecond, "second")
}

func TestProxyResetsWhenTargetIsDown(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := startProxy(t, net.JoinHostPort(loopback, itoa(port)))
	dialReset(t, p)
}

func TestProxyCloseEndsBlackholedConnections(t *testing.T) {
	b := startBackend(t)
	p := startProxy(t, b.addr)
	client := dial(t, p)
	b.next(t)
	p.Cut(CutBlackhole)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	receiveReset(t, client)
}
