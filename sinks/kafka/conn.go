package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"

	"cdc/sinks"
)

// clientID is what brokers show in their logs and metrics.
const clientID = "cdc"

// conn is a connection to one broker, for one request at a time. After an error it is closed, so an answer can never be taken for that
// of a later request, and no request that was given up is still being written.
type conn struct {
	address string
	net     net.Conn
	kafka   *protocol.Conn
	used    time.Time
	// fresh says that nothing has been answered yet but the versions, without a login: a broker that wants one ends the connection.
	fresh bool
}

// dial connects, logs in, and makes sure that the broker speaks what we do, all within the timeout.
func dial(ctx context.Context, o *Options, address string, timeout time.Duration) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	n, err := o.dial(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to broker %s: %w", address, err)
	}
	c := &conn{address: address, net: n}
	if err := c.greet(ctx, o); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) greet(ctx context.Context, o *Options) error {
	if o.TLS != nil {
		if err := c.encrypt(ctx, o.TLS); err != nil {
			return err
		}
	}
	c.kafka = protocol.NewConn(c.net, clientID)
	answer, err := c.roundTrip(ctx, o.RequestTimeout, new(apiversions.Request))
	if err != nil {
		return greetingError(c.address, o, err)
	}
	versions, err := chooseVersions(c.address, answer.(*apiversions.Response))
	if err != nil {
		return err
	}
	c.kafka.SetVersions(versions)
	if o.SASL == nil {
		c.fresh = true
		return nil
	}
	return c.login(ctx, o)
}

func (c *conn) encrypt(ctx context.Context, config *tls.Config) error {
	if config.ServerName == "" {
		host, _, _ := net.SplitHostPort(c.address)
		config = config.Clone()
		config.ServerName = host
	}
	t := tls.Client(c.net, config)
	err := t.HandshakeContext(ctx)
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var header tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case err == nil:
		c.net = t
		return nil
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &alert):
		return &sinks.Refused{
			Detail: fmt.Sprintf("the TLS handshake with broker %s has failed: %v", c.address, err),
			Remedy: "give the sink the certificate of the authority that signed the broker's, and a name that is in it",
		}
	case errors.Is(err, io.EOF), errors.As(err, &header):
		return fmt.Errorf("the broker %s has ended the TLS handshake (%w); if it goes on, its port speaks plaintext: turn TLS off or take the port of a TLS listener", c.address, err)
	}
	return fmt.Errorf("the TLS handshake with broker %s: %w", c.address, err)
}

// greetingError explains what a broker does that is spoken to in the wrong way: it closes the connection.
func greetingError(address string, o *Options, err error) error {
	err = fmt.Errorf("greet broker %s: %w", address, err)
	if !closed(err) {
		return err
	}
	hint := "if it goes on, its port expects TLS: turn TLS on or take the port of a plaintext listener"
	if o.TLS != nil {
		hint = "if it goes on, look into the broker's log"
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// closed reports whether the broker has ended the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// usedAPIs are those that the sink speaks.
var usedAPIs = []protocol.ApiKey{
	protocol.Produce, protocol.Fetch, protocol.ListOffsets, protocol.Metadata, protocol.FindCoordinator, protocol.InitProducerId,
	protocol.AddPartitionsToTxn, protocol.EndTxn, protocol.CreateTopics,
}

// chooseVersions takes the newest version that both sides speak. Without one, a request would just end the connection.
func chooseVersions(address string, answer *apiversions.Response) (map[protocol.ApiKey]int16, error) {
	if err := problem("ask broker "+address+" for its versions", answer.ErrorCode, ""); err != nil {
		return nil, err
	}
	versions := make(map[protocol.ApiKey]int16, len(answer.ApiKeys))
	for _, k := range answer.ApiKeys {
		key := protocol.ApiKey(k.ApiKey)
		v := key.SelectVersion(k.MinVersion, k.MaxVersion)
		if v >= k.MinVersion && v <= k.MaxVersion {
			versions[key] = v
		}
	}
	for _, key := range usedAPIs {
		if _, ok := versions[key]; ok {
			continue
		}
		offered := "does not have it"
		for _, k := range answer.ApiKeys {
			if protocol.ApiKey(k.ApiKey) == key {
				offered = fmt.Sprintf("speaks versions %d to %d", k.MinVersion, k.MaxVersion)
			}
		}
		return nil, &sinks.Refused{
			Detail: fmt.Sprintf("cdc speaks versions %d to %d of Kafka's %s, broker %s %s", key.MinVersion(), key.MaxVersion(), key, address, offered),
			Remedy: "use a broker from 2.5 to 4.x, or a cdc that knows this one",
		}
	}
	return versions, nil
}

// login runs the SASL exchange.
func (c *conn) login(ctx context.Context, o *Options) error {
	mechanism, err := o.SASL.mechanism()
	if err != nil {
		return err
	}
	answer, err := c.roundTrip(ctx, o.RequestTimeout, &saslhandshake.Request{Mechanism: mechanism.Name()})
	if err != nil {
		return fmt.Errorf("log in at broker %s: %w", c.address, err)
	}
	handshake := answer.(*saslhandshake.Response)
	if err := problem("log in at broker "+c.address, handshake.ErrorCode, offers(handshake.Mechanisms)); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(c.address)
	state, message, err := mechanism.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host}))
	for complete := false; err == nil && !complete; {
		var challenge []byte
		if challenge, err = c.authenticate(ctx, o, message); err == nil {
			complete, message, err = state.Next(ctx, challenge)
		}
	}
	if err != nil && !lasting(err) {
		return fmt.Errorf("log in at broker %s: %w", c.address, err)
	}
	return err
}

func offers(mechanisms []string) string {
	if len(mechanisms) == 0 {
		return ""
	}
	return fmt.Sprintf("the listener has %v", mechanisms)
}

func (c *conn) authenticate(ctx context.Context, o *Options, message []byte) ([]byte, error) {
	answer, err := c.roundTrip(ctx, o.RequestTimeout, &saslauthenticate.Request{AuthBytes: message})
	if err != nil {
		return nil, err
	}
	res := answer.(*saslauthenticate.Response)
	return res.AuthBytes, problem("log in at broker "+c.address+" as "+o.SASL.User, res.ErrorCode, res.ErrorMessage)
}

// roundTrip sends a request and reads its answer. What a broker sends can make the library panic, which is an error here.
func (c *conn) roundTrip(ctx context.Context, timeout time.Duration, req protocol.Message) (answer protocol.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("broker %s sent an answer to %s that cannot be read: %v", c.address, req.ApiKey(), p)
		}
	}()
	if err := c.net.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answer, err = c.kafka.RoundTrip(req)
	if err != nil && c.fresh && closed(err) {
		err = fmt.Errorf("%w; if it goes on, the broker asks for a login: give the sink a user and a password", err)
	}
	c.fresh = false
	if err == nil && answer == nil {
		err = errors.New("no answer")
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return answer, err
}

func (c *conn) close() error { return c.net.Close() }
