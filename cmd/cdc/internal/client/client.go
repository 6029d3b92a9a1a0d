// Package client speaks to the 'cdc run' that holds a folder, over the control socket in it. Its types are those of the wire; the
// server's side is package server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/exit"
)

const (
	// aliveTimeout is how long a running server may take to say that it is there, on a machine with more to do than it can: who is
	// not heard counts as not running. A server that is gone refuses at once.
	aliveTimeout = 10 * time.Second
	// maxAnswerBytes bounds an answer.
	maxAnswerBytes = 64 << 20
)

// Client speaks to one folder's server. It is safe for concurrent use.
type Client struct {
	http *http.Client
	dir  string
}

// New makes a client for the folder. It does not connect.
func New(dir string) *Client {
	c := &Client{dir: dir}
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.dial, MaxIdleConns: 2}}
	return c
}

func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	address, release, err := SocketAddress(c.dir)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", address)
}

// Alive reports whether a server answers.
func (c *Client) Alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	_, err := c.Durable(ctx, 0)
	return err == nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Durable is the offset before which everything is durable; it waits until that is more than after, for some seconds at most.
func (c *Client) Durable(ctx context.Context, after changelog.Offset) (changelog.Offset, error) {
	var answer Durable
	err := c.call(ctx, http.MethodGet, PathDurable+"?after="+strconv.FormatUint(uint64(after), 10), nil, &answer)
	return answer.Next, err
}

// Status is what the server is doing.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var answer Status
	if err := c.call(ctx, http.MethodGet, PathStatus, nil, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// Tag names an offset, and returns when that is durable.
func (c *Client) Tag(ctx context.Context, r TagRequest) error {
	return c.call(ctx, http.MethodPost, PathTag, r, nil)
}

// Resolve records a decision about a stop and lets the source go on.
func (c *Client) Resolve(ctx context.Context, r ResolveRequest) error {
	return c.call(ctx, http.MethodPost, PathResolve, r, nil)
}

// Drop ends a source: its slot and publication are removed, and the decision is recorded.
func (c *Client) Drop(ctx context.Context, r DropRequest) error {
	return c.call(ctx, http.MethodPost, PathDrop, r, nil)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) (err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://cdc"+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask the running cdc: %w", withoutURL(err))
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read the running cdc's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return refusal(response.Status, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the running cdc's answer: %w", err)
	}
	return nil
}

// withoutURL drops the made-up address from an error.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// refusal is the error that the server answered with.
func refusal(status string, answer []byte) error {
	var e Error
	if err := json.Unmarshal(answer, &e); err != nil || e.Message == "" {
		return fmt.Errorf("the running cdc answered %s", status)
	}
	return &exit.Error{Code: exit.Code(e.Code), What: e.Message, Where: e.Where, Remedy: e.Remedy}
}
