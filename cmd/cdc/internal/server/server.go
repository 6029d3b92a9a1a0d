// Package server answers for a run: on the control socket in its folder, where other cdc processes ask it to act, and on an HTTP
// address, where health, metrics and status may be read and nothing can be changed.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/client"
)

// Limits of a connection.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	// shutdownTimeout is how long requests may take to end when the server does.
	shutdownTimeout = 2 * time.Second
	maxHeaderBytes  = 16 << 10
)

// Run is the run that is served.
type Run interface {
	// Status is what it is doing.
	Status() client.Status
	// WaitDurable blocks until the record at n is durable; Next is the first offset that is not.
	WaitDurable(ctx context.Context, n changelog.Offset) error
	Next() changelog.Offset
	// Tag, Resolve and Drop return when what they did is durable.
	Tag(ctx context.Context, r client.TagRequest) error
	Resolve(ctx context.Context, r client.ResolveRequest) error
	Drop(ctx context.Context, r client.DropRequest) error
}

// Options are what a server needs; all are required.
type Options struct {
	Run Run
	// Metrics are shown on /metrics beside those of the status.
	Metrics *prometheus.Registry
	// ReadyLag is the lag above which the run is not ready.
	ReadyLag time.Duration
	Logger   *slog.Logger
}

// Server serves one run.
type Server struct{ o Options }

// New makes a server. It does not listen.
func New(o Options) *Server {
	o.Metrics.MustRegister(statusCollector{o.Run})
	return &Server{o: o}
}

// ListenSocket listens on the control socket of the folder, which only this user may open. The caller holds the folder's lock, so
// that a socket which stands there is left over.
func ListenSocket(dir string) (net.Listener, error) {
	if err := os.Remove(client.SocketPath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old control socket: %w", err)
	}
	address, release, err := client.SocketAddress(dir)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	defer release()
	listener, err := net.Listen("unix", address)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	if unix, ok := listener.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false) // the address may lead through a descriptor that is another's by then
	}
	if err := os.Chmod(client.SocketPath(dir), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on control socket: %w", err), listener.Close())
	}
	return listener, nil
}

// ServeSocket answers on the control socket until the context is done, then removes it.
func (s *Server) ServeSocket(ctx context.Context, listener net.Listener, dir string) error {
	err := s.serve(ctx, listener, s.control())
	if removeErr := os.Remove(client.SocketPath(dir)); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return err
}

// ServeHTTP answers on the HTTP address until the context is done.
func (s *Server) ServeHTTP(ctx context.Context, listener net.Listener) error {
	return s.serve(ctx, listener, s.public())
}

func (s *Server) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:    slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			_ = server.Close() // what has not ended by now is a long poll of somebody who will ask again
		}
	}()
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		<-ended
		return nil
	}
	return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
}

// public is what may be read by whoever reaches the address.
func (s *Server) public() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET "+client.PathStatus, s.status)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	return mux
}

// maxScrapes bounds how many scrapes are answered at once.
const maxScrapes = 4
