package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/sinks"
)

var _ sinks.Doctor = (*Sink)(nil)

// Doctor implements sinks.Doctor. Topics that are missing are had validated, and not made; the rights on them, and that on the
// transactional id, are told by the answers to a producer that there is not.
func (k *Sink) Doctor(ctx context.Context, topics []sinks.Topic, saved sinks.Checkpoint) []sinks.Finding {
	d := &doctor{o: &k.o, cluster: newCluster(&k.o), topics: topics}
	defer func() { _ = d.cluster.close() }() // it has only asked
	recorded, _, err := parseState(saved)
	if err != nil {
		d.failed("checkpoint", err)
	}
	d.recorded = recorded
	if d.connect(ctx) {
		d.transactional = d.lookAtTransactions(ctx)
		d.lookAtTopics(ctx)
	}
	return d.findings
}

// doctor looks at a cluster.
type doctor struct {
	o        *Options
	cluster  *cluster
	topics   []sinks.Topic
	recorded map[string]topicState
	// transactional says that the sink's transactional id may be used, by which rights on missing topics are told.
	transactional bool
	lacks         lacking
	findings      []sinks.Finding
}

// askedTogether bounds the topics that a broker is asked about at once.
const askedTogether = 500

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, sinks.Finding{Check: check, Severity: sinks.SeverityOK, Detail: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, remedy, format string, args ...any) {
	d.findings = append(d.findings, sinks.Finding{Check: check, Severity: sinks.SeverityWarning, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (d *doctor) problem(check, remedy, format string, args ...any) {
	d.findings = append(d.findings, sinks.Finding{Check: check, Severity: sinks.SeverityProblem, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

// failed is the problem of a question that was not answered.
func (d *doctor) failed(check string, err error) {
	var refused *sinks.Refused
	var stop *sinks.Stop
	switch {
	case errors.As(err, &refused):
		d.problem(check, refused.Remedy, "%s", refused.Detail)
	case errors.As(err, &stop):
		d.problem(check, stop.Remedy, "%s: %s", stop.Kind, stop.Detail)
	default:
		d.problem(check, "check that the brokers run, and that the sink's URL and its tls name their listener", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// connect connects, encrypts and logs in.
func (d *doctor) connect(ctx context.Context) bool {
	const check = "cluster"
	res, err := d.cluster.describe(ctx, []string{}) // of the brokers alone
	if err != nil {
		d.failed(check, err)
		return false
	}
	how := "not encrypted"
	if d.o.TLS != nil {
		how = "encrypted"
	}
	if d.o.SASL != nil {
		how += fmt.Sprintf(", logged in as %s by %s", d.o.SASL.User, d.o.SASL.Mechanism)
	}
	d.ok(check, "%s, %s", counted(len(res.Brokers), "broker"), how)
	return true
}

// lookAtTopics looks at each topic that the sink is about to write.
func (d *doctor) lookAtTopics(ctx context.Context) {
	const check = "topics"
	var there, missing, unseen []string
	described := make(map[string]*metadata.ResponseTopic)
	for names := range slices.Chunk(d.names(), askedTogether) {
		res, err := d.cluster.learn(ctx, &metadata.Request{TopicNames: names, IncludeTopicAuthorizedOperations: true})
		if err != nil {
			d.failed(check, err)
			return
		}
		for i := range res.Topics {
			t := &res.Topics[i]
			switch t.ErrorCode {
			case 0:
				there, described[t.Name] = append(there, t.Name), t
			case codeUnknownTopic:
				missing = append(missing, t.Name)
			case codeTopicUnauthorized:
				unseen = append(unseen, t.Name)
			default:
				d.failed(check, problem("look for topic "+t.Name, t.ErrorCode, ""))
			}
		}
	}
	d.ok(check, "%d of %s there", len(there), counted(len(d.names()), "topic"))
	for _, name := range unseen {
		d.lacks.note(name, d.neededRights()...)
	}
	for _, name := range there {
		d.lookAt(described[name])
	}
	d.lookAtMissing(ctx, missing)
	switch {
	case !d.lacks.empty():
		d.problem("rights", d.allow("--topic", d.lacks.topics, d.lacks.rights()), "the sink's principal lacks %s", &d.lacks)
	case len(missing) > 0 && !d.transactional:
		d.ok("rights", "none is known to be lacking; whether the sink's principal may write topics that are not there is not known, as the transactional id is not")
	default:
		d.ok("rights", "the sink's principal may do with topics what it needs to")
	}
	d.lookAtSettings(ctx, there, described)
}

// names are those of the topics that the sink is about to write, and of those that it has written.
func (d *doctor) names() []string {
	var names []string
	for _, t := range d.topics {
		names = append(names, t.Name)
	}
	for name := range d.recorded {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lookAt looks at a topic that is there.
func (d *doctor) lookAt(t *metadata.ResponseTopic) {
	if r, ok := d.recorded[t.Name]; ok && len(r.Ends) != len(t.Partitions) {
		d.failed("partitions", diverged("delete the topic and make it anew with as many partitions as it had, then "+publishAgain,
			"topic %s has %s, and had %d when this sink wrote to it", t.Name, counted(len(t.Partitions), "partition"), len(r.Ends)))
	}
	for _, p := range t.Partitions {
		if p.LeaderID < 0 {
			d.problem("partitions", "look at the cluster's brokers", "partition %d of topic %s has no leader", p.PartitionIndex, t.Name)
			break
		}
	}
	if !operationsTold(t.TopicAuthorizedOperations) {
		return
	}
	for _, right := range []right{rightDescribe, rightWrite, rightRead} {
		if t.TopicAuthorizedOperations&(1<<right) == 0 {
			d.lacks.note(t.Name, right)
		}
	}
}

// lookAtMissing looks whether topics can be made, and be used then.
func (d *doctor) lookAtMissing(ctx context.Context, missing []string) {
	for _, name := range missing {
		if _, ok := d.recorded[name]; ok {
			d.failed("topics", diverged(publishAgain, "topic %s has been deleted since this sink wrote to it", name))
		}
	}
	switch {
	case len(missing) == 0:
		return
	case !d.o.AllowCreate:
		d.problem("topics", fmt.Sprintf("let it, or run: kafka-topics.sh --bootstrap-server %s --create --topic %s", d.o.Brokers[0], missing[0]),
			"%s not there, and this sink may not create topics", listed(missing, "is", "are"))
	default:
		d.validate(ctx, missing)
	}
	if err := d.probeMissing(ctx, missing); err != nil {
		d.failed("rights", err)
	}
}

// validate has the making of topics checked, without making them.
func (d *doctor) validate(ctx context.Context, missing []string) {
	refused := make(map[string][]string) // topics by the broker's words
	remedy := make(map[string]string)
	for names := range slices.Chunk(missing, max(1, madeTogether/max(1, d.o.Partitions))) {
		req := creation(d.o, names)
		req.ValidateOnly = true
		answer, err := d.cluster.askAny(ctx, req)
		if err != nil {
			d.failed("topics", err)
			return
		}
		for _, t := range answer.(*createtopics.Response).Topics {
			switch t.ErrorCode {
			case 0, codeTopicExists:
			case codeTopicUnauthorized:
				d.lacks.note(t.Name, rightCreate)
			default:
				words := (&brokerError{code: t.ErrorCode, message: t.ErrorMessage}).text()
				refused[words], remedy[words] = append(refused[words], t.Name), remedies[t.ErrorCode]
			}
		}
	}
	for words, names := range refused {
		d.problem("topics", remedy[words], "%s not there, and cannot be made: %s", listed(names, "is", "are"), words)
	}
}

// settingsLookedAt are the settings of topics by which messages are lost or refused.
var settingsLookedAt = []string{"cleanup.policy", "unclean.leader.election.enable", "min.insync.replicas"}

// lookAtSettings looks at the settings of topics that are there, where the sink's principal may see them.
func (d *doctor) lookAtSettings(ctx context.Context, there []string, described map[string]*metadata.ResponseTopic) {
	const check = "settings"
	var single, unclean, alone, compacted []string
	for names := range slices.Chunk(there, askedTogether) {
		settings, err := d.settings(ctx, names)
		if err != nil {
			d.failed(check, err)
			return
		}
		for _, name := range names {
			replicas := replicasOf(described[name])
			switch s := settings[name]; {
			case replicas == 1:
				single = append(single, name)
			case s["min.insync.replicas"] == "1":
				alone = append(alone, name)
			}
			if settings[name]["unclean.leader.election.enable"] == "true" {
				unclean = append(unclean, name)
			}
			if strings.Contains(settings[name]["cleanup.policy"], "compact") && d.keyless(name) {
				compacted = append(compacted, name)
			}
		}
		if len(settings) < len(names) {
			d.ok(check, "not all of them are known: the sink's principal may not describe the configs of its topics, which it does not need to")
		}
	}
	before := len(d.findings)
	if len(compacted) > 0 {
		d.problem(check, "set cleanup.policy=delete, or leave the table out by the sink's tables",
			"%s compacted, and will be sent messages without a key, as of a table without one, which it refuses", listed(compacted, "is", "are"))
	}
	if len(single) > 0 {
		d.warn(check, "give topics three replicas: replication_factor=3 for those that the sink makes, kafka-reassign-partitions.sh for others",
			"%s one replica: with its broker, messages are lost", listed(single, "has", "have"))
	}
	if len(alone) > 0 {
		d.warn(check, "set min.insync.replicas=2",
			"%s min.insync.replicas=1: messages count as arrived that one broker alone has", listed(alone, "has", "have"))
	}
	if len(unclean) > 0 {
		d.warn(check, "set unclean.leader.election.enable=false",
			"%s unclean.leader.election.enable=true: messages that have arrived can be lost when a leader fails", listed(unclean, "has", "have"))
	}
	if len(there) > 0 && len(d.findings) == before {
		d.ok(check, "nothing in them loses or refuses messages")
	}
}

// settings are those of topics that the sink's principal may see, by topic and name.
func (d *doctor) settings(ctx context.Context, names []string) (map[string]map[string]string, error) {
	const ofTopic = 2
	req := new(describeconfigs.Request)
	for _, name := range names {
		req.Resources = append(req.Resources, describeconfigs.RequestResource{ResourceType: ofTopic, ResourceName: name, ConfigNames: settingsLookedAt})
	}
	answer, err := d.cluster.askAny(ctx, req)
	if err != nil {
		return nil, err
	}
	all := make(map[string]map[string]string)
	for _, r := range answer.(*describeconfigs.Response).Resources {
		if r.ErrorCode == codeTopicUnauthorized {
			continue
		}
		if err := problem("look at the settings of topic "+r.ResourceName, r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, err
		}
		all[r.ResourceName] = make(map[string]string)
		for _, e := range r.ConfigEntries {
			all[r.ResourceName][e.ConfigName] = e.ConfigValue
		}
	}
	return all, nil
}

// keyless reports whether messages without a key will be sent to the topic.
func (d *doctor) keyless(name string) bool {
	return slices.ContainsFunc(d.topics, func(t sinks.Topic) bool { return t.Name == name && t.Keyless })
}

// replicasOf is how many replicas the partition of a topic has that has fewest.
func replicasOf(t *metadata.ResponseTopic) int {
	least := math.MaxInt
	for _, p := range t.Partitions {
		least = min(least, len(p.ReplicaNodes))
	}
	return least
}

// mostListed bounds the names that a finding lists.
const mostListed = 5

// listed is names of topics with the verb that follows them.
func listed(names []string, one, several string) string {
	slices.Sort(names)
	switch n := len(names); {
	case n == 1:
		return "topic " + names[0] + " " + one
	case n > mostListed:
		return fmt.Sprintf("topics %s and %d more %s", strings.Join(names[:mostListed], ", "), n-mostListed, several)
	}
	return "topics " + strings.Join(names, ", ") + " " + several
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
