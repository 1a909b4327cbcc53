package observe_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/oci"
)

// noted takes down what begins and how it ends.
type noted struct{ work []string }

type key struct{}

// Begin implements [observe.Observer].
func (n *noted) Begin(ctx context.Context, of observe.Work) (context.Context, observe.End) {
	return context.WithValue(ctx, key{}, of), func(code string) {
		n.work = append(n.work, strings.TrimSpace(fmt.Sprint(of.Stage, " ", of.Name, " ", code)))
	}
}

// TestEveryCallIsTold, by its name, and refused as the registry refuses it. A registry that
// refuses whatever it is asked is one of an image that nobody can ask for.
func TestEveryCallIsTold(t *testing.T) {
	t.Parallel()
	client, err := oci.New()
	if err != nil {
		t.Fatal(err)
	}
	seen := &noted{}
	asking := reflect.ValueOf(observe.Asking(client, seen))
	plain := reflect.ValueOf(exchange.Registry(client))
	calls := reflect.TypeFor[exchange.Registry]()
	for i := range calls.NumMethod() {
		method := calls.Method(i)
		arguments := []reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(oci.Credentials{}), reflect.ValueOf("no reference")}
		for j := len(arguments); j < method.Type.NumIn(); j++ {
			arguments = append(arguments, reflect.Zero(method.Type.In(j)))
		}
		got := asking.MethodByName(method.Name).Call(arguments)
		want := plain.MethodByName(method.Name).Call(arguments)
		if got, want := fmt.Sprint(got[1]), fmt.Sprint(want[1]); got != want {
			t.Errorf("%s: got %s, want %s", method.Name, got, want)
		}
		if got, want := seen.work[len(seen.work)-1], "registry "+strings.ToLower(method.Name)+" malformed"; got != want {
			t.Errorf("%s: was told %q, want %q", method.Name, got, want)
		}
	}
	if got, want := len(seen.work), calls.NumMethod(); got != want {
		t.Errorf("was told of %d calls, want %d", got, want)
	}
}

// TestNobodyIsToldOfNothing: without an observer the registry is the one that was given.
func TestNobodyIsToldOfNothing(t *testing.T) {
	t.Parallel()
	client, err := oci.New()
	if err != nil {
		t.Fatal(err)
	}
	if got := observe.Asking(client, nil); got != exchange.Registry(client) {
		t.Errorf("got %T, want the client itself", got)
	}
	ctx, end := observe.Begin(t.Context(), nil, observe.Work{Stage: observe.Verify})
	if end("timeout"); ctx != t.Context() {
		t.Error("got another context")
	}
}

// TestCodes of errors are those that the builtins answer.
func TestCodes(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for name, err := range map[string]error{
		"none": nil, "of a registry": fmt.Errorf("x: %w", &oci.Error{Code: oci.NotFound}),
		"late": context.DeadlineExceeded, "left": context.Canceled, "any other": errors.New("x"),
	} {
		got[name] = observe.CodeOf(err)
	}
	want := map[string]string{"none": "", "of a registry": "not_found", "late": "timeout", "left": "timeout", "any other": "malformed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}
