package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/sinks"
)

// topic is a topic that a session writes.
type topic struct {
	name       string
	partitions []*partition
}

// find looks for topics in the cluster and makes those that are missing.
func (s *session) find(ctx context.Context, names []string) (topics []*topic, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	began := time.Now()
	err = retry(ctx, s.o.timings.retryMax, func() error {
		res, err := s.cluster.describe(ctx, names)
		if err != nil {
			return err
		}
		topics = topics[:0]
		var missing []string
		for i := range res.Topics {
			t, err := s.understand(&res.Topics[i])
			switch {
			case err != nil:
				return err
			case t == nil:
				missing = append(missing, res.Topics[i].Name)
			default:
				topics = append(topics, t)
			}
		}
		if len(missing) > 0 {
			return s.missing(ctx, missing, time.Since(began))
		}
		return nil
	})
	return topics, err
}

// understand makes a topic of what the cluster says; nil when it is missing.
func (s *session) understand(m *metadata.ResponseTopic) (*topic, error) {
	if m.ErrorCode == codeUnknownTopic {
		return nil, nil
	}
	if err := problem("look for topic "+m.Name, m.ErrorCode, ""); err != nil {
		return nil, err
	}
	t := &topic{name: m.Name, partitions: make([]*partition, len(m.Partitions))}
	for _, p := range m.Partitions {
		if p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(t.partitions) || t.partitions[p.PartitionIndex] != nil {
			return nil, fmt.Errorf("topic %s is described with partitions that are not numbered from 0 to %d", m.Name, len(m.Partitions)-1)
		}
		if p.LeaderID < 0 {
			return nil, fmt.Errorf("partition %d of topic %s has no leader at present", p.PartitionIndex, m.Name)
		}
		t.partitions[p.PartitionIndex] = &partition{topic: t, index: p.PartitionIndex, leader: p.LeaderID}
	}
	if len(t.partitions) == 0 {
		return nil, fmt.Errorf("topic %s is described without partitions", m.Name)
	}
	if r, ok := s.recorded[m.Name]; ok && len(r.Ends) != len(t.partitions) {
		return nil, diverged("delete the topic and make it anew with as many partitions as it had, then "+publishAgain,
			"topic %s has %d partitions, and had %d when this sink wrote to it: changes of one key would lie in two partitions, in no order", m.Name, len(t.partitions), len(r.Ends))
	}
	return t, nil
}

// leadersOf are the brokers that lead the topic's partitions, -1 for none.
func leadersOf(m *metadata.ResponseTopic) []int32 {
	leaders := make([]int32, len(m.Partitions))
	for i := range leaders {
		leaders[i] = -1
	}
	for _, p := range m.Partitions {
		if p.ErrorCode == 0 && p.PartitionIndex >= 0 && int(p.PartitionIndex) < len(leaders) {
			leaders[p.PartitionIndex] = p.LeaderID
		}
	}
	return leaders
}

// publishAgain is how a topic is filled anew while the others go on where they stand.
const publishAgain = "remove the sink's checkpoint.json: the log is then published from its beginning, and partitions that hold changes of this sink go on after their last"

// missing does what is to be done about topics that are not there, and returns an error when that is not to look again at once.
func (s *session) missing(ctx context.Context, names []string, waited time.Duration) error {
	for _, name := range names {
		if _, ok := s.recorded[name]; ok {
			if waited < s.o.timings.missingMax {
				return fmt.Errorf("topic %s is not there, which a broker that has just started may say wrongly", name)
			}
			return diverged(publishAgain, "topic %s has been deleted since this sink wrote to it", name)
		}
	}
	if !s.o.AllowCreate {
		return &sinks.Refused{
			Detail: fmt.Sprintf("topic %s does not exist, and this sink may not create topics", names[0]),
			Remedy: fmt.Sprintf("let it, or run: kafka-topics.sh --bootstrap-server %s --create --topic %s", s.o.Brokers[0], names[0]),
		}
	}
	if err := s.create(ctx, names); err != nil {
		return err
	}
	return fmt.Errorf("topic %s has just been created", names[0])
}

// creation is the request to make topics.
func creation(o *Options, names []string) *createtopics.Request {
	req := &createtopics.Request{TimeoutMs: o.brokerTimeout()}
	for _, name := range names {
		t := createtopics.RequestTopic{Name: name, NumPartitions: -1, ReplicationFactor: -1}
		if o.Partitions > 0 {
			t.NumPartitions = int32(o.Partitions)
		}
		if o.ReplicationFactor > 0 {
			t.ReplicationFactor = int16(o.ReplicationFactor)
		}
		for _, config := range slices.Sorted(maps.Keys(o.TopicConfigs)) {
			t.Configs = append(t.Configs, createtopics.RequestConfig{Name: config, Value: o.TopicConfigs[config]})
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// create makes topics. Somebody else may be making them, too.
func (s *session) create(ctx context.Context, names []string) error {
	req := creation(s.o, names)
	answer, err := s.cluster.askAny(ctx, req) // any broker passes it on to the controller (KIP-590)
	if err != nil {
		return err
	}
	for _, t := range answer.(*createtopics.Response).Topics {
		if t.ErrorCode == codeTopicExists {
			continue
		}
		if err := problemWith(rightCreate, "create topic "+t.Name, t.ErrorCode, t.ErrorMessage); err != nil {
			return err
		}
		s.o.Logger.InfoContext(ctx, "topic created", "sink", s.o.Name, "topic", t.Name, "partitions", t.NumPartitions, "replicas", t.ReplicationFactor)
	}
	return nil
}

// Times that stand for a partition's first and next offset in ListOffsets.
const (
	earliest = -2
	latest   = -1
)

// offsets asks for the first or the next offset of each partition and gives it to set.
func (s *session) offsets(ctx context.Context, topics []*topic, at int64, set func(p *partition, offset int64)) error {
	leaders := make(map[int32]*listoffsets.Request)
	byName := make(map[string]*topic)
	for _, t := range topics {
		byName[t.name] = t
		for _, p := range t.partitions {
			req := leaders[p.leader]
			if req == nil {
				req = &listoffsets.Request{ReplicaID: -1}
				leaders[p.leader] = req
			}
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != t.name {
				req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: t.name})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, listoffsets.RequestPartition{Partition: p.index, CurrentLeaderEpoch: -1, Timestamp: at})
		}
	}
	for leader, req := range leaders {
		answer, err := s.cluster.ask(ctx, leader, req)
		if err != nil {
			return err
		}
		got := 0
		for _, rt := range answer.(*listoffsets.Response).Topics {
			t := byName[rt.Topic]
			for _, rp := range rt.Partitions {
				if err := problem(fmt.Sprintf("ask for the end of partition %d of topic %s", rp.Partition, rt.Topic), rp.ErrorCode, ""); err != nil {
					return err
				}
				if t == nil || rp.Partition < 0 || int(rp.Partition) >= len(t.partitions) {
					return fmt.Errorf("broker %d answers for a partition that it was not asked for: %d of topic %q", leader, rp.Partition, rt.Topic)
				}
				set(t.partitions[rp.Partition], rp.Offset)
				got++
			}
		}
		if want := countPartitions(req); got != want {
			return fmt.Errorf("broker %d answers for %d of %d partitions", leader, got, want)
		}
	}
	return nil
}

func countPartitions(req *listoffsets.Request) (n int) {
	for _, t := range req.Topics {
		n += len(t.Partitions)
	}
	return n
}
