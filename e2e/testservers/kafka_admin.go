package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaTopic says how to make a topic.
type KafkaTopic struct {
	Name       string
	Partitions int               // 0 = 1
	Replicas   int               // 0 = one on each broker
	Config     map[string]string // such as cleanup.policy
}

// KafkaOffsets are the bounds of a partition.
type KafkaOffsets struct {
	Partition int32
	First     int64 // the oldest record that is kept
	Stable    int64 // the end for who reads what is committed: before the first open transaction
	Next      int64 // of the next record
}

// open connects to the listener that needs no password.
func (k *Kafka) open(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.AdminAddrs()...)}, options...)...)
}

// administer runs f with a connected client.
func (k *Kafka) administer(f func(*kadm.Client) error) error {
	client, err := k.open()
	if err != nil {
		return err
	}
	defer client.Close()
	return f(kadm.NewClient(client))
}

// ready waits until the cluster makes topics and knows producers, which it does
// some time after its brokers have started.
func (k *Kafka) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err := k.administer(func(admin *kadm.Client) error {
		return persist(ctx, func() error {
			const topic = "cdc-test-ready"
			_, err := admin.CreateTopic(ctx, 1, 1, nil, topic)
			if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
				return fmt.Errorf("create topic: %w", err)
			}
			if _, err := admin.DeleteTopic(ctx, topic); err != nil {
				return fmt.Errorf("delete topic: %w", err)
			}
			return k.initProducer(ctx)
		})
	})
	if err != nil {
		return fmt.Errorf("wait for Kafka to be ready: %w", err)
	}
	return nil
}

// initProducer asks for a producer id, which loads the log of transactions.
func (k *Kafka) initProducer(ctx context.Context) error {
	client, err := k.open()
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrInitProducerIDRequest()
	request.TransactionalID = kmsg.StringPtr("cdc-test-ready")
	request.TransactionTimeoutMillis = 60_000
	request.ProducerID, request.ProducerEpoch = -1, -1
	response, err := request.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(response.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("ask for a producer id: %w", err)
	}
	return nil
}

// CreateTopic makes a topic.
func (k *Kafka) CreateTopic(ctx context.Context, t KafkaTopic) error {
	config := map[string]*string{}
	for name, value := range t.Config {
		config[name] = &value
	}
	replicas := int16(t.Replicas)
	if t.Replicas == 0 {
		replicas = -1 // as the brokers have it
	}
	return k.administer(func(admin *kadm.Client) error {
		if _, err := admin.CreateTopic(ctx, int32(max(1, t.Partitions)), replicas, config, t.Name); err != nil {
			return fmt.Errorf("create topic %s: %w", t.Name, err)
		}
		return nil
	})
}

// DeleteTopic deletes a topic.
func (k *Kafka) DeleteTopic(ctx context.Context, topic string) error {
	return k.administer(func(admin *kadm.Client) error {
		if _, err := admin.DeleteTopic(ctx, topic); err != nil {
			return fmt.Errorf("delete topic %s: %w", topic, err)
		}
		return nil
	})
}

// Topic makes a topic for a test, under a name of its own in place of t.Name,
// and deletes it afterwards.
func (k *Kafka) Topic(tb TB, t KafkaTopic) string {
	tb.Helper()
	t.Name = uniqueName()
	if err := k.CreateTopic(tb.Context(), t); err != nil {
		tb.Fatalf("create topic for %s: %v", tb.Name(), err)
	}
	dropAfter(tb, "topic "+t.Name, func(ctx context.Context) error { return k.DeleteTopic(ctx, t.Name) })
	return t.Name
}

// SetTopicConfig changes settings of a topic; others stay as they are.
func (k *Kafka) SetTopicConfig(ctx context.Context, topic string, config map[string]string) error {
	var changes []kadm.AlterConfig
	for name, value := range config {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	return k.administer(func(admin *kadm.Client) error {
		responses, err := admin.AlterTopicConfigs(ctx, changes, topic)
		if err == nil {
			_, err = responses.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
		}
		if err != nil {
			return fmt.Errorf("change settings of topic %s: %w", topic, err)
		}
		return nil
	})
}

// DeleteRecords deletes those of a partition before an offset.
func (k *Kafka) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, before, -1)
	return k.administer(func(admin *kadm.Client) error {
		responses, err := admin.DeleteRecords(ctx, offsets)
		if err == nil {
			err = responses.Error()
		}
		if err != nil {
			return fmt.Errorf("delete records of topic %s before %d: %w", topic, before, err)
		}
		return nil
	})
}

// Offsets are the bounds of each partition of a topic, in their order.
func (k *Kafka) Offsets(ctx context.Context, topic string) (bounds []KafkaOffsets, err error) {
	err = k.administer(func(admin *kadm.Client) error {
		first, firstErr := listed(admin.ListStartOffsets(ctx, topic))
		stable, stableErr := listed(admin.ListCommittedOffsets(ctx, topic))
		next, nextErr := listed(admin.ListEndOffsets(ctx, topic))
		if err := errors.Join(firstErr, stableErr, nextErr); err != nil {
			return fmt.Errorf("list offsets of topic %s: %w", topic, err)
		}
		for _, p := range slices.Sorted(maps.Keys(next[topic])) {
			bounds = append(bounds, KafkaOffsets{
				Partition: p, First: first[topic][p].Offset, Stable: stable[topic][p].Offset, Next: next[topic][p].Offset,
			})
		}
		return nil
	})
	return bounds, err
}

// listed is an answer with an error of any partition as its own.
func listed(offsets kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	return offsets, errors.Join(err, offsets.Error())
}
