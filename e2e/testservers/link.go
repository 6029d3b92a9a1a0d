package testservers

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection through a proxy: two sockets and a pump for each
// direction.
type link struct {
	client, server *net.TCPConn
	frozen         chan struct{} // closed by a blackhole
	closed         chan struct{} // closed when both sockets are
	freezeOnce     sync.Once
	closeOnce      sync.Once
}

// chunk is a piece of a stream on its way.
type chunk struct {
	data []byte
	due  time.Time
}

func newLink(client, server *net.TCPConn) *link {
	return &link{client: client, server: server, frozen: make(chan struct{}), closed: make(chan struct{})}
}

// cut breaks the link; to is the receiving end of the direction that
// CutHalfClose ends.
func (l *link) cut(kind CutKind, to *net.TCPConn) {
	switch kind {
	case CutNone:
	case CutReset:
		l.closeOnce.Do(func() {
			close(l.closed)
			reset(l.client)
			reset(l.server)
		})
	case CutBlackhole:
		l.freezeOnce.Do(func() { close(l.frozen) })
	case CutHalfClose:
		_ = to.CloseWrite() // fails only on a connection that has ended
	}
}

// close ends both sockets in the ordinary way.
func (l *link) close() {
	l.closeOnce.Do(func() {
		close(l.closed)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// broken reports whether nothing may pass any more. In a blackhole it returns
// only when the sockets are closed, so that they stay open until then.
func (l *link) broken() bool {
	select {
	case <-l.frozen:
		<-l.closed
		return true
	case <-l.closed:
		return true
	default:
		return false
	}
}

// pump passes one direction on until it ends.
func (l *link) pump(to, from *net.TCPConn, s Stream, passed *atomic.Int64, hold func() <-chan struct{}) {
	chunks := make(chan chunk, delayedChunks)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(chunks)
		l.read(from, s.Delay, chunks)
	})
	w := writer{link: l, to: to, stream: s, passed: passed, hold: hold}
	passing := !w.atCut()
	for c := range chunks {
		passing = passing && w.write(c) && !w.atCut()
	}
	reader.Wait()
	if passing && !l.broken() {
		_ = to.CloseWrite() // the end of the stream; fails only on a dead connection
	}
}

// read takes chunks from a socket until its end. Any end but a FIN is passed on
// to both sides as a reset.
func (l *link) read(from *net.TCPConn, delay time.Duration, chunks chan<- chunk) {
	for {
		data := make([]byte, chunkBytes)
		n, err := from.Read(data)
		if l.broken() {
			return
		}
		if n > 0 {
			select {
			case chunks <- chunk{data: data[:n], due: time.Now().Add(delay)}:
			case <-l.frozen:
			case <-l.closed:
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.cut(CutReset, nil)
			}
			return
		}
	}
}

// writer is the sending half of a pump.
type writer struct {
	link   *link
	to     *net.TCPConn
	stream Stream
	passed *atomic.Int64 // of the proxy
	hold   func() <-chan struct{}
	offset int64 // of the next byte in the direction
}

// atCut breaks the link where the plan says so, and reports whether it did.
// What still comes in this direction is read and dropped.
func (w *writer) atCut() bool {
	c := w.stream.Cut
	if c.Kind == CutNone || w.offset < c.After {
		return false
	}
	w.link.cut(c.Kind, w.to)
	return true
}

// write passes a chunk on, and reports false when the link has broken or the
// plan cuts it inside the chunk.
func (w *writer) write(c chunk) bool {
	if !w.wait(time.Until(c.due)) {
		return false
	}
	for data := c.data; len(data) > 0; {
		if w.atCut() || !w.gate() {
			return false
		}
		piece := data[:w.pieceSize(len(data))]
		w.flip(piece)
		if _, err := w.to.Write(piece); err != nil {
			w.link.cut(CutReset, w.to)
			return false
		}
		data = data[len(piece):]
		w.offset += int64(len(piece))
		w.passed.Add(int64(len(piece)))
		if rate := w.stream.BytesPerSecond; rate > 0 {
			if !w.wait(time.Duration(len(piece)) * time.Second / time.Duration(rate)) {
				return false
			}
		}
	}
	return true
}

// pieceSize is how much of n bytes may go now: up to the cut, and no more than
// the rate allows in one step.
func (w *writer) pieceSize(n int) int {
	size := int64(n)
	if w.stream.Cut.Kind != CutNone {
		size = min(size, w.stream.Cut.After-w.offset)
	}
	if rate := w.stream.BytesPerSecond; rate > 0 {
		size = min(size, max(1, rate*int64(throttleStep)/int64(time.Second)))
	}
	return int(size)
}

// flip inverts the planned bits of a piece.
func (w *writer) flip(piece []byte) {
	for _, f := range w.stream.Flips {
		at := f.Offset - w.offset
		if at < 0 || at >= int64(len(piece)) {
			continue
		}
		mask := f.Mask
		if mask == 0 {
			mask = 0xff
		}
		piece[at] ^= mask
	}
}

// gate waits while the proxy holds answers back, and reports false when the
// link has broken.
func (w *writer) gate() bool {
	for {
		held := w.hold()
		if held == nil {
			return !w.link.broken()
		}
		select {
		case <-held:
		case <-w.link.frozen:
		case <-w.link.closed:
		}
		if w.link.broken() {
			return false
		}
	}
}

// wait waits for d, and reports false when the link has broken.
func (w *writer) wait(d time.Duration) bool {
	if d <= 0 {
		return !w.link.broken()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.link.frozen:
	case <-w.link.closed:
	}
	return !w.link.broken()
}
