package testservers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// KafkaOptions says how to start a cluster. The zero value starts one broker of
// the newest Kafka of 'make setup' on free ports, without a password.
type KafkaOptions struct {
	Name      string            // shown in logs; "" = kafka
	Version   string            // "4.3.0"; "" = the newest
	Brokers   int               // each of them a controller, too; 0 = 1
	Settings  map[string]string // server.properties of each broker, over the defaults of this package
	Security  KafkaSecurity     // of the listener of the clients; "" = PLAINTEXT
	Users     []KafkaUser       // who may log in where Security asks for it
	Authorize bool              // whoever is no super user may do what Allow says and nothing else
	HeapMB    int               // of each broker; 0 = 300
	Log       *slog.Logger      // what is done to the brokers; nil = nothing
}

// KafkaSecurity is how the clients' listener is secured, in the words of Kafka.
type KafkaSecurity string

// The kinds of listeners. A certificate is that of [Kafka.CAFile].
const (
	KafkaPlaintext     KafkaSecurity = "PLAINTEXT"
	KafkaSSL           KafkaSecurity = "SSL"
	KafkaSASLPlaintext KafkaSecurity = "SASL_PLAINTEXT"
	KafkaSASLSSL       KafkaSecurity = "SASL_SSL"
)

func (s KafkaSecurity) tls() bool  { return s == KafkaSSL || s == KafkaSASLSSL }
func (s KafkaSecurity) sasl() bool { return s == KafkaSASLPlaintext || s == KafkaSASLSSL }

// KafkaUser may log in by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
type KafkaUser struct {
	Name     string
	Password string
	Super    bool // may do everything, where Authorize is set
}

// Kafka is a cluster. Its methods may be called concurrently.
type Kafka struct {
	o       KafkaOptions
	install javaInstall
	brokers []*KafkaBroker // none of an external cluster
	addrs   []string       // of an external cluster
}

// KafkaBroker is one server of a cluster. Besides the methods of every server
// here, Kill, Shutdown, Pause, Resume and Restart among them, it has its
// cluster; Addr is that of the clients' listener. Only the cluster is stopped.
type KafkaBroker struct {
	daemon
	cluster        *Kafka
	id             int // node.id: 1, 2 …
	internalPort   int // of the listener of the brokers and of this package, without a password
	controllerPort int
}

// StartKafka starts a cluster and returns when it takes topics and producers.
// It lives until Stop or until this process ends; ctx bounds the start only.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	for attempt := 1; ; attempt++ {
		k, err := prepareKafka(o)
		if err != nil {
			return nil, err
		}
		if err = k.firstStart(ctx); err == nil {
			return k, nil
		}
		for _, b := range k.brokers {
			b.discard()
		}
		if attempt == portAttempts || !errors.Is(err, errPortTaken) {
			return nil, err
		}
	}
}

// prepareKafka finds the jars, makes the folders and chooses the ports, all of
// which every broker must know, and starts nothing.
func prepareKafka(o KafkaOptions) (*Kafka, error) {
	o.Name = cmp.Or(o.Name, "kafka")
	o.Brokers = cmp.Or(o.Brokers, 1)
	o.Security = cmp.Or(o.Security, KafkaPlaintext)
	o.HeapMB = cmp.Or(o.HeapMB, 300)
	inst, err := findKafka(o.Version)
	if err != nil {
		return nil, err
	}
	acc, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := inst.reachable(acc); err != nil {
		return nil, err
	}
	const portsOfBroker = 3
	ports, err := freePorts(portsOfBroker * o.Brokers)
	if err != nil {
		return nil, err
	}
	k := &Kafka{o: o, install: inst}
	for i := range o.Brokers {
		p := ports[i*portsOfBroker:]
		b := &KafkaBroker{cluster: k, id: i + 1, internalPort: p[1], controllerPort: p[2]}
		b.daemon = daemon{
			kind: b, name: fmt.Sprintf("%s %d", o.Name, b.id), version: inst.version, log: o.Log, account: acc,
			host: loopback, port: p[0], stopSignal: syscall.SIGTERM,
		}
		if err := b.open("", watch{executable: inst.java}); err != nil {
			for _, made := range k.brokers {
				made.discard()
			}
			return nil, err
		}
		k.brokers = append(k.brokers, b)
	}
	return k, nil
}

// firstStart makes the data of the brokers and starts them.
func (k *Kafka) firstStart(ctx context.Context) error {
	if k.o.Security.tls() {
		if err := k.writeKeystore(); err != nil {
			return err
		}
	}
	for _, b := range k.brokers {
		if err := b.create(ctx); err != nil {
			return fmt.Errorf("create data in %s: %w", b.dir, err)
		}
	}
	err := together(k.brokers, func(b *KafkaBroker) error { return b.daemon.firstStart(ctx) })
	if err != nil {
		return err
	}
	if err := k.ready(ctx); err != nil {
		return err
	}
	return k.addUsers(ctx)
}

// together does the same to each of the brokers at once: one that starts waits
// for a majority.
func together(brokers []*KafkaBroker, f func(*KafkaBroker) error) error {
	problems := make([]error, len(brokers))
	var wg sync.WaitGroup
	for i, b := range brokers {
		wg.Go(func() { problems[i] = f(b) })
	}
	wg.Wait()
	return errors.Join(problems...)
}

// command is the broker with its properties.
func (b *KafkaBroker) command() *exec.Cmd {
	inst := b.cluster.install
	args := append(inst.flags(b.cluster.o.HeapMB, b.runDir()),
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
	return exec.Command(inst.java, append(args, "-cp", inst.classpath(), "kafka.Kafka", b.propertiesFile())...)
}

// accepting reports whether the broker has said so in the log, which it does
// when the controllers have let it in. Its port is open long before.
func (b *KafkaBroker) accepting(int) bool {
	text, err := b.logSince(b.began)
	return err == nil && strings.Contains(text, "Kafka Server started")
}

// Restart stops the broker if it runs and starts it on the same ports with the
// same files, and returns when the cluster takes topics and producers. After
// Kill and Shutdown it is the way back, as long as a majority of the others
// runs; see [Kafka.Restart].
func (b *KafkaBroker) Restart(ctx context.Context) error { return b.cluster.Restart(ctx, b) }

// Restart is that of several brokers at once, or of all.
func (k *Kafka) Restart(ctx context.Context, brokers ...*KafkaBroker) error {
	if len(brokers) == 0 {
		brokers = k.brokers
	}
	if len(brokers) == 0 {
		return fmt.Errorf("restart Kafka: %w", ErrExternal)
	}
	if err := together(brokers, func(b *KafkaBroker) error { return b.daemon.Restart(ctx) }); err != nil {
		return err
	}
	return k.ready(ctx)
}

// Stop ends all brokers and removes their folders.
func (k *Kafka) Stop(ctx context.Context) error {
	return together(k.brokers, func(b *KafkaBroker) error { return b.daemon.Stop(ctx) })
}

// StopAfter stops the cluster at the end of the test. The ends of its logs are
// shown with a test that failed.
func (k *Kafka) StopAfter(tb TB) {
	for _, b := range k.brokers {
		b.daemon.StopAfter(tb)
	}
}

// Brokers are those of the cluster; none of an external one.
func (k *Kafka) Brokers() []*KafkaBroker { return k.brokers }

// ID is the broker's number in the cluster, from 1 on.
func (b *KafkaBroker) ID() int { return b.id }

// Addrs are the host:port of the clients' listener of each broker.
func (k *Kafka) Addrs() []string {
	if len(k.brokers) == 0 {
		return k.addrs
	}
	var addrs []string
	for _, b := range k.brokers {
		addrs = append(addrs, b.Addr())
	}
	return addrs
}

// AdminAddrs are the host:port of a listener of each broker where everyone is
// a super user, without a password and without TLS.
func (k *Kafka) AdminAddrs() []string {
	if len(k.brokers) == 0 {
		return k.addrs
	}
	var addrs []string
	for _, b := range k.brokers {
		addrs = append(addrs, hostPort(b.internalPort))
	}
	return addrs
}

// Version is the full version, such as 4.3.0; "" of an external cluster.
func (k *Kafka) Version() string { return k.install.version }

// CAFile is the certificate that clients of a listener with TLS must trust.
func (k *Kafka) CAFile() string {
	if len(k.brokers) == 0 {
		return ""
	}
	return k.brokers[0].CAFile()
}
