package testservers

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// KafkaGrant lets a user do each of the operations with each of what is named.
type KafkaGrant struct {
	Operations       []string // "WRITE", "DESCRIBE" and so on, in the words of Kafka
	Topics           []string
	Groups           []string
	TransactionalIDs []string
	Cluster          bool // with the cluster itself: CREATE is of topics
	Prefixed         bool // the names are beginnings of names
}

// addUsers gives the users their SCRAM passwords; those for PLAIN are settings.
func (k *Kafka) addUsers(ctx context.Context) error {
	if len(k.o.Users) == 0 {
		return nil
	}
	// A request may name a user once.
	for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		var all []kadm.UpsertSCRAM
		for _, u := range k.o.Users {
			all = append(all, kadm.UpsertSCRAM{User: u.Name, Password: u.Password, Mechanism: mechanism})
		}
		err := k.administer(func(admin *kadm.Client) error {
			results, err := admin.AlterUserSCRAMs(ctx, nil, all)
			return errors.Join(err, results.Error())
		})
		if err != nil {
			return fmt.Errorf("add users: %w", err)
		}
	}
	return k.usersKnown(ctx)
}

// usersKnown waits until each broker has heard of all passwords.
func (k *Kafka) usersKnown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client, err := k.open()
	if err != nil {
		return err
	}
	defer client.Close()
	for _, b := range k.brokers {
		err := persist(ctx, func() error {
			response, err := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest().RequestWith(ctx, client.Broker(b.id))
			if err != nil {
				return err
			}
			for _, r := range response.Results {
				if len(r.CredentialInfos) < 2 {
					return fmt.Errorf("user %s has one password", r.User)
				}
			}
			if known := len(response.Results); known < len(k.o.Users) {
				return fmt.Errorf("%d of %d users are known", known, len(k.o.Users))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("wait for users at %s: %w", b.name, err)
		}
	}
	return nil
}

// Allow gives a user what a cluster with Authorize else refuses. The brokers
// know of it a moment later.
func (k *Kafka) Allow(ctx context.Context, user string, grants ...KafkaGrant) error {
	return k.administer(func(admin *kadm.Client) error {
		for _, g := range grants {
			if err := g.create(ctx, admin, user); err != nil {
				return fmt.Errorf("allow %v to %s: %w", g.Operations, user, err)
			}
		}
		return nil
	})
}

func (g KafkaGrant) create(ctx context.Context, admin *kadm.Client, user string) error {
	var operations []kadm.ACLOperation
	for _, word := range g.Operations {
		operation, err := kmsg.ParseACLOperation(word)
		if err != nil {
			return err
		}
		operations = append(operations, operation)
	}
	acls := kadm.NewACLs().Allow("User:" + user).MaybeOperations(operations...).
		MaybeTopics(g.Topics...).MaybeGroups(g.Groups...).MaybeTransactionalIDs(g.TransactionalIDs...).MaybeClusters(g.Cluster)
	if g.Prefixed {
		acls.ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	results, err := admin.CreateACLs(ctx, acls)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}
