package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"cdc/e2e/testservers"
	"cdc/sinks"
)

func TestEncryptionPasswordsAndGrants(t *testing.T) {
	k := testservers.StartKafkaFor(t, testservers.KafkaOptions{
		Security: testservers.KafkaSASLSSL, Authorize: true,
		Users: []testservers.KafkaUser{{Name: "admin", Password: "right", Super: true}, {Name: "app", Password: "secret"}},
	})
	pem, err := os.ReadFile(k.CAFile())
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	base := func() (*history, []string, Options) {
		h, topics := newHistory(), topicNames(t, 1)
		h.grow(20, topics...)
		o := h.options(k)
		o.TLS = &tls.Config{RootCAs: pool}
		o.SASL = &SASL{Mechanism: Plain, User: "admin", Password: "right"}
		return h, topics, o
	}
	for _, m := range []Mechanism{Plain, ScramSHA256, ScramSHA512} {
		t.Run(string(m), func(t *testing.T) {
			h, topics, o := base()
			o.SASL.Mechanism = m
			must(t, publish(t.Context(), open(t, o), h, sinks.Checkpoint{}))
			h.check(t, k, topics...)
			o.SASL.Password = "wrong"
			err := publish(t.Context(), open(t, o), h, sinks.Checkpoint{})
			wantRefused(t, err)
			if strings.Contains(err.Error(), "wrong") {
				t.Error("the password is printed")
			}
		})
	}
	t.Run("certificate of somebody else", func(t *testing.T) {
		h, _, o := base()
		o.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		wantRefused(t, publish(t.Context(), open(t, o), h, sinks.Checkpoint{}))
	})
	for name, wrong := range map[string]struct {
		change func(*Options)
		hint   string
	}{
		"TLS to a plaintext port": {func(o *Options) { o.Brokers = k.AdminAddrs() }, "speaks plaintext"},
		"plaintext to a TLS port": {func(o *Options) { o.TLS = nil }, "expects TLS"},
		"no password":             {func(o *Options) { o.SASL = nil }, "asks for a login"},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, o := base()
			wrong.change(&o)
			o.timings.retryMax = 100 * time.Millisecond
			err := publish(t.Context(), open(t, o), h, sinks.Checkpoint{})
			if err == nil || !strings.Contains(err.Error(), wrong.hint) {
				t.Errorf("%v does not say %q", err, wrong.hint)
			}
		})
	}
	t.Run("grants", func(t *testing.T) {
		h, topics, o := base()
		o.SASL = &SASL{Mechanism: Plain, User: "app", Password: "secret"}
		s := open(t, o)
		wantRefused(t, publish(t.Context(), s, h, sinks.Checkpoint{}))
		must(t, k.Allow(t.Context(), "app",
			testservers.KafkaGrant{Operations: []string{"WRITE", "DESCRIBE"}, TransactionalIDs: []string{o.TransactionalID()}}))
		eventually(t, func() error { return publish(t.Context(), s, h, sinks.Checkpoint{}) }, "topic")
		must(t, k.Allow(t.Context(), "app",
			testservers.KafkaGrant{Operations: []string{"WRITE", "READ", "DESCRIBE", "CREATE"}, Topics: topics}))
		eventually(t, func() error { return publish(t.Context(), s, h, sinks.Checkpoint{}) }, "")
		h.check(t, k, topics...)
	})
}

// eventually waits until f fails with a text that has the part, or succeeds for an empty one: brokers learn of grants a moment later.
func eventually(t *testing.T, f func() error, part string) {
	t.Helper()
	var err error
	wait(t, func() bool {
		err = f()
		return part == "" && err == nil || part != "" && err != nil && strings.Contains(err.Error(), part)
	})
	t.Log(err)
}
