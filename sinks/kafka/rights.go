package kafka

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
)

// right is an operation that an authorizer allows or not, by its number in Kafka's protocol (AclOperation).
type right uint8

const (
	rightRead     right = 3
	rightWrite    right = 4
	rightCreate   right = 5
	rightDescribe right = 8
)

func (r right) String() string {
	switch r {
	case rightRead:
		return "Read"
	case rightWrite:
		return "Write"
	case rightCreate:
		return "Create"
	}
	return "Describe"
}

// neededRights are those on each topic.
func (d *doctor) neededRights() []right {
	needed := []right{rightWrite, rightRead, rightDescribe}
	if d.o.AllowCreate {
		needed = append(needed, rightCreate)
	}
	return needed
}

// operationsTold reports whether a broker has said which operations are allowed; one before 2.3 has not.
func operationsTold(operations int32) bool { return operations != 0 && operations != math.MinInt32 }

// lacking are rights that are not there, by topic.
type lacking struct {
	byRight map[right][]string
	topics  []string
}

func (l *lacking) empty() bool { return len(l.topics) == 0 }

func (l *lacking) note(topic string, rights ...right) {
	if l.byRight == nil {
		l.byRight = make(map[right][]string)
	}
	for _, r := range rights {
		if !slices.Contains(l.byRight[r], topic) {
			l.byRight[r] = append(l.byRight[r], topic)
		}
	}
	if !slices.Contains(l.topics, topic) {
		l.topics = append(l.topics, topic)
	}
}

// rights are those that any topic lacks, in the order in which the documentation names them.
func (l *lacking) rights() (all []right) {
	for _, r := range []right{rightWrite, rightRead, rightDescribe, rightCreate} {
		if len(l.byRight[r]) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// String says which rights are lacking on what.
func (l *lacking) String() string {
	var parts []string
	together := make(map[string][]string) // rights by the topics that lack them
	var order []string
	for _, r := range l.rights() {
		topics := strings.TrimSpace(listed(l.byRight[r], "", ""))
		if together[topics] == nil {
			order = append(order, topics)
		}
		together[topics] = append(together[topics], r.String())
	}
	for _, topics := range order {
		parts = append(parts, strings.Join(together[topics], ", ")+" on "+topics)
	}
	return strings.Join(parts, "; ")
}

// allow is the command that gives the sink's principal rights. Names that begin alike up to a point are named by their beginning.
func (d *doctor) allow(flag string, names []string, rights []right) string {
	principal := "User:…"
	if d.o.SASL != nil {
		principal = "User:" + d.o.SASL.User
	}
	command := fmt.Sprintf("run: kafka-acls.sh --bootstrap-server %s --add --allow-principal %s", d.o.Brokers[0], principal)
	if common := commonBeginning(names); len(names) > 1 && common != "" {
		command, names = command+" --resource-pattern-type prefixed", []string{common}
	}
	for _, name := range names {
		command += " " + flag + " " + name
	}
	for _, r := range rights {
		command += " --operation " + r.String()
	}
	return command
}

// commonBeginning is how all names begin, up to a point; empty when they do not begin alike.
func commonBeginning(names []string) string {
	common := names[0]
	for _, name := range names {
		for !strings.HasPrefix(name, common) {
			common = common[:len(common)-1]
		}
	}
	return common[:strings.LastIndexByte(common, '.')+1]
}

// nobody is the number of a producer that there is not: numbers are given out from 0 on. What such a producer asks for is refused, for
// its number if for nothing else, and changes nothing.
const nobody = math.MaxInt64

// transactionTopic is where Kafka keeps transactions. It makes the topic itself when it is first asked who coordinates one.
const transactionTopic = "__transaction_state"

// lookAtTransactions looks whether the sink may be the transactional id that fences others.
func (d *doctor) lookAtTransactions(ctx context.Context) bool {
	const check = "transactional id"
	id := d.o.TransactionalID()
	res, err := d.cluster.describe(ctx, []string{transactionTopic})
	if err != nil {
		d.failed(check, err)
		return false
	}
	if len(res.Topics) == 1 && res.Topics[0].ErrorCode == codeUnknownTopic {
		d.ok(check, "whether the sink may be %s is not known, as nobody has begun a transaction in this cluster yet", id)
		return false
	}
	refused, err := d.askAsNobody(ctx, id)
	switch {
	case err != nil:
		d.failed(check, err)
		return false
	case refused != 0:
		d.problem(check, d.allow("--transactional-id", []string{id}, []right{rightWrite, rightDescribe}), "the sink's principal lacks %s on %s", refused, id)
		return false
	}
	d.ok(check, "the sink may be %s", id)
	return true
}

// askAsNobody returns the right on the transactional id that is lacking, 0 when none is.
func (d *doctor) askAsNobody(ctx context.Context, id string) (refused right, err error) {
	err = retry(ctx, d.o.timings.retryMax, func() error {
		refused = 0
		answer, err := d.cluster.askAny(ctx, &findcoordinator.Request{Key: id, KeyType: 1}) // of transactions
		if err != nil {
			return err
		}
		found := answer.(*findcoordinator.Response)
		if found.ErrorCode == codeTransactionalIDDenied {
			refused = rightDescribe
			return nil
		}
		if err := problem("find the coordinator of "+id, found.ErrorCode, found.ErrorMessage); err != nil {
			return err
		}
		address := net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port)))
		answer, err = d.cluster.askAt(ctx, address, d.o.RequestTimeout, &endtxn.Request{TransactionalID: id, ProducerID: nobody})
		if err != nil {
			return err
		}
		switch code := answer.(*endtxn.Response).ErrorCode; code {
		case codeInvalidProducerMapping: // there is no such producer, which is what may be said to whom may ask
			return nil
		case codeTransactionalIDDenied:
			refused = rightWrite
			return nil
		default:
			return problem("ask about "+id, code, "")
		}
	})
	return refused, err
}

// probeMissing looks for rights on topics that are not there, of which the cluster says nothing else.
func (d *doctor) probeMissing(ctx context.Context, missing []string) error {
	read := &fetch.Request{ReplicaID: -1, SessionID: -1, SessionEpoch: -1}
	write := &addpartitionstotxn.Request{TransactionalID: d.o.TransactionalID(), ProducerID: nobody}
	for _, name := range missing {
		read.Topics = append(read.Topics, fetch.RequestTopic{Topic: name, Partitions: []fetch.RequestPartition{{CurrentLeaderEpoch: -1, LogStartOffset: -1}}})
		write.Topics = append(write.Topics, addpartitionstotxn.RequestTopic{Name: name, Partitions: []int32{0}})
	}
	answer, err := d.cluster.askAny(ctx, read)
	if err != nil {
		return err
	}
	for _, t := range answer.(*fetch.Response).Topics {
		if len(t.Partitions) == 1 && t.Partitions[0].ErrorCode == codeTopicUnauthorized {
			d.lacks.note(t.Topic, rightRead)
		}
	}
	if !d.transactional {
		return nil
	}
	answer, err = d.cluster.coordinator(ctx, write.TransactionalID, write)
	if err != nil {
		return err
	}
	for _, t := range answer.(*addpartitionstotxn.Response).Results {
		if len(t.Results) == 1 && t.Results[0].ErrorCode == codeTopicUnauthorized {
			d.lacks.note(t.Name, rightWrite)
		}
	}
	return nil
}
