package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"cdc/changelog"
	"cdc/sinks"
)

// Secret is a text that is never printed.
type Secret string

// redacted stands in the place of a secret.
const redacted = "***"

// String is three asterisks.
func (Secret) String() string { return redacted }

// GoString is three asterisks.
func (Secret) GoString() string { return redacted }

// LogValue is three asterisks.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is three asterisks.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Mechanism is a way to log in.
type Mechanism string

// Mechanisms.
const (
	Plain       Mechanism = "PLAIN"
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
)

// SASL is how the sink logs in.
type SASL struct {
	Mechanism Mechanism
	User      string
	Password  Secret
}

// Log is what the sink asks of the log whose changes it publishes. A changelog.Log is one.
type Log interface {
	ID() [16]byte
	Bounds() changelog.Bounds
}

// Options are what a sink needs. Brokers, Name, Log, Encoder and Logger are required.
type Options struct {
	// Brokers are host:port of some of the cluster's brokers.
	Brokers []string
	// Name is the sink's name. With the log's id it makes the transactional id by which a second process is kept out.
	Name    string
	Log     Log
	Encoder sinks.Encoder
	Logger  *slog.Logger

	// TLS encrypts connections when set. SASL logs in when set.
	TLS  *tls.Config
	SASL *SASL
	// Compression is LZ4 when empty.
	Compression Compression

	// AllowCreate lets the sink create topics that are missing, with so many Partitions and replicas (0: as the broker does by
	// default) and these configs.
	AllowCreate       bool
	Partitions        int
	ReplicationFactor int
	TopicConfigs      map[string]string

	// MaxInFlightBytes bounds the messages that have been taken and have not arrived, before compression; 32 MiB when 0.
	MaxInFlightBytes int64
	// RequestTimeout is how long a broker may take to answer before the same is sent again; 10 s when 0.
	RequestTimeout time.Duration

	dial    func(ctx context.Context, network, address string) (net.Conn, error) // net.Dialer when nil
	timings timings
}

// timings are limits that tests change.
type timings struct {
	resendMax, leaseMax, probeInterval, missingMax, retryMax time.Duration
}

// Limits in time.
const (
	defaultRequestTimeout = 10 * time.Second
	// resendMax is how long a batch is sent again. A broker forgets a producer after a day (producer.id.expiration.ms), and after
	// that would append it twice. Opening anew costs milliseconds and says what is wrong, so this is far below.
	resendMax = 20 * time.Second
	// probeInterval is how often the sink asks whether it is still the writer, leaseMax how long it writes without an answer. A
	// partition remembers the fence of a newer writer for a day only: a process that slept or was cut off for longer must not write.
	probeInterval = 5 * time.Minute
	leaseMax      = time.Hour
	// missingMax is how long a topic may be missing, as on a broker that has just started, until it counts as deleted.
	missingMax = 4 * time.Second
	// retryMax is how long a question to the cluster is repeated within Open before the whole of it begins anew.
	retryMax = 5 * time.Second
)

const (
	defaultMaxInFlightBytes = 32 << 20
	// batchBytes is where a batch is cut, before compression: below the broker's max.message.bytes of 1,048,588.
	batchBytes = 1_000_000
)

// Validate reports everything that is wrong with the options.
func (o *Options) Validate() error {
	var problems []error
	problem := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("kafka sink: "+format, args...))
		}
	}
	problem(len(o.Brokers) == 0, "no broker is given; name one as host:port")
	for _, b := range o.Brokers {
		_, port, err := net.SplitHostPort(b)
		problem(err != nil || port == "", "broker %q is not host:port", b)
	}
	problem(o.Name == "", "it has no name")
	problem(o.Log == nil || o.Encoder == nil || o.Logger == nil, "a log, an encoder and a logger are needed")
	problem(o.Partitions < 0 || o.Partitions > maxPartitions, "%d is no number of partitions; choose 1 to %d, or 0 for the broker's default", o.Partitions, maxPartitions)
	problem(o.ReplicationFactor < 0 || o.ReplicationFactor > 1<<15-1, "%d is no number of replicas", o.ReplicationFactor)
	problem(o.MaxInFlightBytes < 0 || o.MaxInFlightBytes > 0 && o.MaxInFlightBytes < batchBytes, "at least %d bytes must be allowed in flight, not %d", batchBytes, o.MaxInFlightBytes)
	problem(o.RequestTimeout < 0 || o.RequestTimeout > 0 && o.RequestTimeout < minRequestTimeout, "a request timeout of %s is too short; %s is the least", o.RequestTimeout, minRequestTimeout)
	if _, err := newCompressor(o.Compression); err != nil {
		problem(true, "%w", err)
	}
	if o.SASL != nil {
		if _, err := o.SASL.mechanism(); err != nil {
			problem(true, "%w", err)
		}
	}
	return errors.Join(problems...)
}

// maxPartitions bounds what a topic is created with, as a mistyped number would be hard to take back.
const (
	maxPartitions     = 10_000
	minRequestTimeout = 100 * time.Millisecond
)

func (o *Options) setDefaults() {
	if o.MaxInFlightBytes == 0 {
		o.MaxInFlightBytes = defaultMaxInFlightBytes
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.dial == nil {
		o.dial = new(net.Dialer).DialContext
	}
	if o.timings == (timings{}) {
		o.timings = timings{resendMax: resendMax, leaseMax: leaseMax, probeInterval: probeInterval, missingMax: missingMax, retryMax: retryMax}
	}
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s.User == "" {
		return nil, errors.New("SASL needs a user")
	}
	switch s.Mechanism {
	case Plain:
		return plain.Mechanism{Username: s.User, Password: string(s.Password)}, nil
	case ScramSHA256:
		return scram.Mechanism(scram.SHA256, s.User, string(s.Password))
	case ScramSHA512:
		return scram.Mechanism(scram.SHA512, s.User, string(s.Password))
	}
	return nil, fmt.Errorf("SASL mechanism %q is not known; choose %s, %s or %s", s.Mechanism, Plain, ScramSHA256, ScramSHA512)
}
