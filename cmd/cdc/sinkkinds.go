package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/schema"
	"cdc/schema/avro"
	"cdc/sinks"
	"cdc/sinks/envelope"
	"cdc/sinks/file"
	"cdc/sinks/folder"
	"cdc/sinks/kafka"
	"cdc/sinks/parquet"
)

// openSink makes the sink of a URL. It does not connect. begun is the offset up to which the sink publishes nothing whatever happens.
func openSink(spec *config.Sink, log changelog.Log, begun func() changelog.Offset, logger *slog.Logger) (sinks.Sink, error) {
	sink, err := sinkOf(spec, log, begun, logger)
	if err != nil {
		return nil, &exit.Error{
			Code: exit.Usage, What: err.Error(), Where: "sink " + spec.Name, Remedy: "'cdc config check' shows every setting with its origin", Err: err,
		}
	}
	return sink, nil
}

// sinkOf is the one switch on the kind of a sink.
func sinkOf(spec *config.Sink, log changelog.Log, begun func() changelog.Offset, logger *slog.Logger) (sinks.Sink, error) {
	if spec.Parquet {
		return parquet.New(parquet.Options{Folder: folderOf(spec, log), Source: describeName(log)})
	}
	encoder, err := encoderOf(spec, log, begun)
	if err != nil {
		return nil, err
	}
	switch spec.URL.Kind() {
	case config.KindKafka:
		return kafkaSink(spec, log, encoder, logger)
	case config.KindFile:
		return file.New(file.Options{Folder: folderOf(spec, log), Encoder: encoder})
	}
	return nil, fmt.Errorf("%s is of no kind that this build knows", spec.URL)
}

// folderOf says where the files of a sink go and when they are finished.
func folderOf(spec *config.Sink, log changelog.Log) folder.Options {
	return folder.Options{Dir: spec.URL.Dir(), Log: log.ID(), Interval: spec.RotateTime, FileBytes: spec.RotateSize}
}

func kafkaSink(spec *config.Sink, log changelog.Log, encoder sinks.Encoder, logger *slog.Logger) (sinks.Sink, error) {
	o := kafka.Options{
		Brokers: spec.URL.Brokers(), Name: spec.Name, Log: log, Encoder: encoder, Logger: logger, Compression: kafka.Compression(spec.Kafka.Compression),
		AllowCreate: !spec.Kafka.NoCreate, Partitions: spec.Kafka.Partitions, ReplicationFactor: spec.Kafka.Replication,
	}
	if user := spec.URL.User(); user != "" {
		mechanism := kafka.ScramSHA512
		if spec.Kafka.SASL != "" {
			mechanism = kafka.Mechanism(strings.ToUpper(spec.Kafka.SASL))
		}
		o.SASL = &kafka.SASL{Mechanism: mechanism, User: user, Password: kafka.Secret(spec.Password)}
	}
	var err error
	o.TLS, err = kafkaTLS(spec)
	if err != nil {
		return nil, err
	}
	return kafka.New(o)
}

// kafkaTLS is how connections are encrypted, nil for not at all: that is so on loopback unless it is asked for.
func kafkaTLS(spec *config.Sink) (*tls.Config, error) {
	k := &spec.Kafka
	mode := k.TLS
	if mode == "" {
		mode = "on"
		if k.CA == "" && k.Cert == "" && allLoopback(spec.URL.Brokers()) {
			mode = "off"
		}
	}
	if mode == "off" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: mode == "no-verify"}
	if k.CA != "" {
		var err error
		if t.RootCAs, err = certificates("tls_ca", k.CA); err != nil {
			return nil, err
		}
	}
	if (k.Cert == "") != (k.KeyPEM == "") {
		return nil, errors.New("tls_cert and tls_key belong together")
	}
	if k.Cert != "" {
		pair, err := tls.LoadX509KeyPair(k.Cert, k.KeyPEM)
		if err != nil {
			return nil, fmt.Errorf("tls_cert and tls_key: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// certificates reads those of a setting's file.
func certificates(setting, path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM", setting, path)
	}
	return pool, nil
}

func allLoopback(brokers []string) bool {
	for _, b := range brokers {
		host, _, err := net.SplitHostPort(b)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// registryTimeout bounds a question to the schema registry.
const registryTimeout = 10 * time.Second

// encoderOf makes what turns the log's units into the sink's messages.
func encoderOf(spec *config.Sink, log changelog.Log, begun func() changelog.Offset) (sinks.Encoder, error) {
	o := spec.Messages
	o.Source = describeSource(log)
	wanted, err := wantedTables(spec.Tables)
	if err != nil {
		return nil, err
	}
	o.Tables = func() []*schema.Table { return publishedTables(log, wanted, begun()) }
	if spec.Registry.URL != "" {
		if o.Serializer, err = avroOf(&spec.Registry); err != nil {
			return nil, err
		}
	}
	return envelope.New(o)
}

// avroOf makes what encodes messages under the schemas of a registry.
func avroOf(r *config.RegistrySettings) (*envelope.Avro, error) {
	registry, err := registryOf(r)
	if err != nil {
		return nil, err
	}
	return envelope.NewAvro(envelope.AvroOptions{Registry: registry, Keys: r.Keys, Values: r.Values, Names: r.Names})
}

// registryOf makes the client of a schema registry. It does not connect.
func registryOf(r *config.RegistrySettings) (*avro.Registry, error) {
	o := avro.RegistryOptions{URL: r.URL, User: r.User, Password: string(r.Password), Timeout: registryTimeout, LookupOnly: r.LookupOnly}
	if r.CA != "" {
		pool, err := certificates("registry_ca", r.CA)
		if err != nil {
			return nil, err
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return avro.NewRegistry(o)
}

// publishedTables are the versions of the tables that a sink publishes, without those that were never captured, and without those that
// had been dropped for good by the offset up to which the sink publishes nothing: there are no changes of them behind it.
func publishedTables(log changelog.Log, wanted func(*schema.Table) bool, begun changelog.Offset) (tables []*schema.Table) {
	catalog, end := log.Catalog(), log.Bounds().Next
	for _, v := range catalog.Versions() {
		at, ok := catalog.TableAt(v.ID, end)
		gone := at.State.State == changelog.TableDropped && at.StateSince <= begun
		if ok && !gone && at.State.State != changelog.TableUntracked && wanted(v) {
			tables = append(tables, v)
		}
	}
	return tables
}

// describeName tells the name of a source of the log.
func describeName(log changelog.Log) func(changelog.SourceID) string {
	return func(id changelog.SourceID) string {
		for _, info := range log.Catalog().Sources() {
			if info.ID == id {
				return info.Name
			}
		}
		return ""
	}
}

// describeSource tells messages what the log and the kind of a source say of it.
func describeSource(log changelog.Log) func(changelog.SourceID) (envelope.Source, error) {
	return func(id changelog.SourceID) (envelope.Source, error) {
		for _, info := range log.Catalog().Sources() {
			if info.ID != id {
				continue
			}
			k, ok := kindOf(info.Kind)
			if !ok {
				break
			}
			return envelope.Source{Name: info.Name, Database: info.Find("database"), Connector: k.connector(&info), Place: k.place}, nil
		}
		return envelope.Source{}, fmt.Errorf("source %d is of no kind that this build publishes", id)
	}
}
