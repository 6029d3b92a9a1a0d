package avro

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cdc/e2e/testservers"
)

// Goal: the registry that people run takes and refuses what we think it does.
//
// Method: a real Apicurio registry, through its API that is Confluent's, with subjects that take what readers of the newest schema can
// read (BACKWARD).

const (
	valueOne   = `{"type":"record","name":"Value","namespace":"shop.orders","fields":[{"name":"id","type":"int"},{"name":"qty","type":["null","int"],"default":null}],"connect.name":"shop.orders.Value"}`
	valueTwo   = `{"type":"record","name":"Value","namespace":"shop.orders","fields":[{"name":"id","type":"int"},{"name":"qty","type":["null","int"],"default":null},{"name":"note","type":["null","string"],"default":null}],"connect.name":"shop.orders.Value"}`
	valueThree = `{"type":"record","name":"Value","namespace":"shop.orders","fields":[{"name":"id","type":"int"},{"name":"qty","type":["null","string"],"default":null},{"name":"price","type":"double"}],"connect.name":"shop.orders.Value"}`
)

func TestRealRegistry(t *testing.T) {
	server := testservers.StartRegistryFor(t, testservers.RegistryOptions{})
	t.Run("takes and refuses", func(t *testing.T) { takesAndRefuses(t, server) })
	t.Run("goes and comes back", func(t *testing.T) { goesAndComesBack(t, server) })
}

func takesAndRefuses(t *testing.T, server *testservers.Registry) {
	const subject = "shop.orders-value"
	r := registryAt(t, RegistryOptions{URL: server.URL()})
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	one, two := id(t, r, subject, valueOne), id(t, r, subject, valueTwo)
	if one == two {
		t.Errorf("two schemas have the id %d", one)
	}
	// A process that starts again meets old versions when newer ones are registered.
	again := registryAt(t, RegistryOptions{URL: server.URL()})
	if got := id(t, again, subject, valueOne); got != one {
		t.Errorf("the first schema is %d, was %d", got, one)
	}
	if got := id(t, registryAt(t, RegistryOptions{URL: server.URL(), LookupOnly: true}), subject, valueTwo); got != two {
		t.Errorf("the second schema is looked up as %d, was %d", got, two)
	}
	want := []string{`column "qty" was int or null, is string or null`, `column "note" is gone`, `column "price" (double) is new and has no default`}
	_, err := r.ID(t.Context(), subject, []byte(valueThree))
	var refused *Error
	if !errors.As(err, &refused) || refused.Class != Incompatible || refused.Level != "BACKWARD" || !slices.Equal(refused.Changes, want) {
		t.Errorf("got %+v", err)
	}
	if ok, changes, err := r.Compatible(t.Context(), subject, []byte(valueThree)); ok || !slices.Equal(changes, want) || err != nil {
		t.Errorf("compatible: %v, %q, %v", ok, changes, err)
	}
	if ok, changes, err := r.Compatible(t.Context(), subject, []byte(valueTwo)); !ok || changes != nil || err != nil {
		t.Errorf("compatible: %v, %q, %v", ok, changes, err)
	}
	if ok, _, err := r.Compatible(t.Context(), "nobody.has-value", []byte(valueTwo)); !ok || err != nil {
		t.Errorf("a new subject: %v, %v", ok, err)
	}
	var missing *Error
	if _, err := registryAt(t, RegistryOptions{URL: server.URL(), LookupOnly: true}).ID(t.Context(), "nobody.has-value", []byte(valueOne)); !errors.As(err, &missing) || missing.Class != Refused || !missing.Missing {
		t.Errorf("a schema that is not there: %v", err)
	}
	if _, err := registryAt(t, RegistryOptions{URL: strings.TrimSuffix(server.URL(), "/ccompat/v7")}).ID(t.Context(), subject, []byte(valueOne)); class(err) != Refused {
		t.Errorf("another path: %v", err)
	}
}

func goesAndComesBack(t *testing.T, server *testservers.Registry) {
	const subject = "shop.returns-value"
	before := id(t, registryAt(t, RegistryOptions{URL: server.URL()}), subject, valueOne)
	r := registryAt(t, RegistryOptions{URL: server.URL()})
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ID(t.Context(), subject, []byte(valueOne)); class(err) != Unavailable {
		t.Errorf("nobody is there: %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := id(t, r, subject, valueOne); after != before {
		t.Errorf("the id is %d, was %d", after, before)
	}
}
