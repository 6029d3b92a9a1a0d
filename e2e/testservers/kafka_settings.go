package testservers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	// kafkaClusterID is the same for all: they know each other by their ports.
	kafkaClusterID = "MkU3OEVBNTcwNTJENDM2Qk"
	// kafkaKeystore is the key and the certificates of all brokers of a cluster.
	kafkaKeystore = "server.pem"
	// nobody is who Kafka takes a client without a password for, this package
	// and the brokers themselves among them.
	nobody = "User:ANONYMOUS"
)

func (b *KafkaBroker) propertiesFile() string { return filepath.Join(b.runDir(), "server.properties") }

// configure writes the properties.
func (b *KafkaBroker) configure() error {
	settings := b.defaultSettings()
	maps.Copy(settings, b.cluster.securitySettings())
	maps.Copy(settings, b.cluster.o.Settings)
	if err := os.WriteFile(b.propertiesFile(), []byte(javaProperties(settings)), 0o600); err != nil {
		return err
	}
	return b.account.own(b.propertiesFile())
}

// javaProperties writes settings as Java reads them, in the order of their names.
func javaProperties(settings map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", name, strings.ReplaceAll(settings[name], `\`, `\\`))
	}
	return text.String()
}

// defaultSettings make a broker small, quick to notice that another is gone,
// and strict about topics that do not exist.
func (b *KafkaBroker) defaultSettings() map[string]string {
	all := strconv.Itoa(len(b.cluster.brokers))
	majority := strconv.Itoa(len(b.cluster.brokers)/2 + 1)
	var voters []string
	for _, other := range b.cluster.brokers {
		voters = append(voters, fmt.Sprintf("%d@%s", other.id, hostPort(other.controllerPort)))
	}
	listeners := fmt.Sprintf("CLIENT://%s,INTERNAL://%s", b.Addr(), hostPort(b.internalPort))
	return map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(b.id),
		"controller.quorum.voters":                         strings.Join(voters, ","),
		"controller.listener.names":                        "CONTROLLER",
		"inter.broker.listener.name":                       "INTERNAL",
		"listeners":                                        listeners + ",CONTROLLER://" + hostPort(b.controllerPort),
		"advertised.listeners":                             listeners,
		"listener.security.protocol.map":                   "CLIENT:" + string(b.cluster.o.Security) + ",INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                                         b.dataDir(),
		"default.replication.factor":                       all,
		"auto.create.topics.enable":                        "false",
		"offsets.topic.replication.factor":                 all,
		"offsets.topic.num.partitions":                     "5",
		"group.initial.rebalance.delay.ms":                 "0",
		"transaction.state.log.num.partitions":             "5",
		"transaction.state.log.replication.factor":         all,
		"transaction.state.log.min.isr":                    majority,
		"share.coordinator.state.topic.replication.factor": all,
		"share.coordinator.state.topic.min.isr":            majority,
		// By default a broker that is gone is missed after 9 s, and one that comes
		// back waits as long for its former self.
		"broker.session.timeout.ms":              "2000",
		"broker.heartbeat.interval.ms":           "500",
		"initial.broker.registration.timeout.ms": strconv.FormatInt(startLimit.Milliseconds(), 10),
		"num.network.threads":                    "2",
		"num.io.threads":                         "4",
		"log.cleaner.dedupe.buffer.size":         strconv.Itoa(4 << 20),
	}
}

// securitySettings are those of the clients' listener and of who may do what.
func (k *Kafka) securitySettings() map[string]string {
	const client = "listener.name.client."
	settings := map[string]string{}
	if k.o.Security.tls() {
		settings[client+"ssl.keystore.type"] = "PEM"
		settings[client+"ssl.keystore.location"] = filepath.Join(k.brokers[0].dir, kafkaKeystore)
	}
	if k.o.Security.sasl() {
		plain, scram := "org.apache.kafka.common.security.plain.PlainLoginModule required", "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		for _, u := range k.o.Users {
			plain += fmt.Sprintf(" user_%s=%q", u.Name, u.Password)
		}
		settings[client+"sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
		settings[client+"plain.sasl.jaas.config"] = plain + ";"
		settings[client+"scram-sha-256.sasl.jaas.config"] = scram
		settings[client+"scram-sha-512.sasl.jaas.config"] = scram
	}
	if k.o.Authorize {
		super := []string{nobody}
		for _, u := range k.o.Users {
			if u.Super {
				super = append(super, "User:"+u.Name)
			}
		}
		settings["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		settings["super.users"] = strings.Join(super, ";")
	}
	return settings
}

// writeKeystore makes the certificate of all brokers in the folder of the first.
func (k *Kafka) writeKeystore() error {
	b := k.brokers[0]
	if err := writeCertificates(b.dir, b.account); err != nil {
		return err
	}
	var all []byte
	for _, name := range []string{keyFile, certFile, caFile} {
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	path := filepath.Join(b.dir, kafkaKeystore)
	if err := os.WriteFile(path, all, 0o600); err != nil {
		return err
	}
	return b.account.own(path)
}

// create makes the data folder from a template, for which Kafka's own program
// takes a second or two.
func (b *KafkaBroker) create(ctx context.Context) error {
	key := fmt.Sprintf("%s broker %d", b.cluster.install.home, b.id)
	t, err := templates.get(key, func() (*template, error) { return b.makeTemplate(ctx) })
	if err != nil {
		return err
	}
	return t.copyTo(ctx, &b.daemon)
}

func (b *KafkaBroker) makeTemplate(ctx context.Context) (*template, error) {
	inst := b.cluster.install
	t, err := newTemplate(b.account, watch{executable: inst.java})
	if err != nil {
		return nil, err
	}
	settings := b.defaultSettings()
	settings["log.dirs"] = t.data
	properties, err := t.write("format.properties", javaProperties(settings))
	if err == nil {
		args := append(inst.flags(b.cluster.o.HeapMB, t.runDir()), "-cp", inst.classpath(), "kafka.tools.StorageTool",
			"format", "--cluster-id="+kafkaClusterID, "--config="+properties)
		err = b.account.run(ctx, t.runDir(), inst.java, args...)
	}
	return t.finish(err)
}
