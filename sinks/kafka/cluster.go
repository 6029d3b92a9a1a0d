package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// cluster holds connections to brokers. It is safe for concurrent use.
type cluster struct {
	o *Options

	mu        sync.Mutex // guards the fields below
	addresses map[int32]string
	answering string // the address that was the last to answer a question that any can answer
	idle      map[string][]*conn
	closed    bool
}

// anyTimeout is how long a broker may take for a question that any can answer, before the next is asked.
const anyTimeout = 3 * time.Second

// idleMax is how long a connection is kept unused: brokers close theirs after ten minutes (connections.max.idle.ms).
const idleMax = 4 * time.Minute

var errClosed = errors.New("the sink is closed")

func newCluster(o *Options) *cluster {
	return &cluster{o: o, addresses: make(map[int32]string), idle: make(map[string][]*conn)}
}

// ask sends a request to a broker by its number and waits for the answer as long as a request may take.
func (c *cluster) ask(ctx context.Context, broker int32, req protocol.Message) (protocol.Message, error) {
	c.mu.Lock()
	address, known := c.addresses[broker]
	c.mu.Unlock()
	if !known {
		return nil, fmt.Errorf("broker %d is not in the cluster at present", broker)
	}
	return c.askAt(ctx, address, c.o.RequestTimeout, req)
}

// askAny sends a request to whichever broker answers, the one that did so last before the others.
func (c *cluster) askAny(ctx context.Context, req protocol.Message) (answer protocol.Message, err error) {
	timeout := min(c.o.RequestTimeout, anyTimeout)
	var problems []error
	for _, address := range c.candidates() {
		answer, err = c.askAt(ctx, address, timeout, req)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.answering = address
			return answer, nil
		}
		if problems = append(problems, err); lasting(err) || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(problems...)
}

// candidates are the addresses of all brokers, in the order in which to ask them.
func (c *cluster) candidates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	addresses := append([]string(nil), c.o.Brokers...)
	for _, a := range c.addresses {
		addresses = append(addresses, a)
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	if i := slices.Index(addresses, c.answering); i > 0 {
		addresses[0], addresses[i] = addresses[i], addresses[0]
	}
	return addresses
}

func (c *cluster) askAt(ctx context.Context, address string, timeout time.Duration, req protocol.Message) (protocol.Message, error) {
	conn, err := c.take(ctx, address, timeout)
	if err != nil {
		return nil, err
	}
	answer, err := conn.roundTrip(ctx, timeout, req)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask broker %s (%s): %w", address, req.ApiKey(), err), conn.close())
	}
	return answer, c.giveBack(conn)
}

// take is a connection that nobody uses.
func (c *cluster) take(ctx context.Context, address string, timeout time.Duration) (*conn, error) {
	c.mu.Lock()
	for list := c.idle[address]; len(list) > 0; list = c.idle[address] {
		last := list[len(list)-1]
		c.idle[address] = list[:len(list)-1]
		if time.Since(last.used) < idleMax {
			c.mu.Unlock()
			return last, nil
		}
		_ = last.close() // an idle connection has nothing to lose
	}
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	return dial(ctx, c.o, address, timeout)
}

func (c *cluster) giveBack(conn *conn) error {
	conn.used = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return conn.close()
	}
	c.idle[conn.address] = append(c.idle[conn.address], conn)
	return nil
}

// close closes the connections that nobody uses; the others go when their requests end.
func (c *cluster) close() (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, list := range c.idle {
		for _, conn := range list {
			err = errors.Join(err, conn.close())
		}
	}
	clear(c.idle)
	return err
}

// describe asks for the topics' partitions and leaders, and learns where brokers are. It may be answered by a broker that does not
// know the newest.
func (c *cluster) describe(ctx context.Context, topics []string) (*metadata.Response, error) {
	return c.learn(ctx, &metadata.Request{TopicNames: topics})
}

// learn is describe with what else the request asks for.
func (c *cluster) learn(ctx context.Context, req *metadata.Request) (*metadata.Response, error) {
	answer, err := c.askAny(ctx, req)
	if err != nil {
		return nil, err
	}
	res := answer.(*metadata.Response)
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.addresses)
	for _, b := range res.Brokers {
		c.addresses[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	return res, nil
}

// coordinator asks the broker that coordinates the transactional id. It is looked for each time, as it is rarely asked.
func (c *cluster) coordinator(ctx context.Context, transactionalID string, req protocol.Message) (protocol.Message, error) {
	answer, err := c.askAny(ctx, &findcoordinator.Request{Key: transactionalID, KeyType: 1}) // of transactions
	if err != nil {
		return nil, err
	}
	found := answer.(*findcoordinator.Response)
	if err := problem("find the coordinator of "+transactionalID, found.ErrorCode, found.ErrorMessage); err != nil {
		return nil, err
	}
	return c.askAt(ctx, net.JoinHostPort(found.Host, strconv.Itoa(int(found.Port))), c.o.RequestTimeout, req)
}
