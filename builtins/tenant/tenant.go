// Package tenant tells on whose behalf registries are asked.
//
// A decision is about one [Workload]. What it asks of registries it asks with the
// workload's own credentials or, where a policy names signaturePullSecrets, with those. A
// [Source] finds them, perhaps by asking a cluster; a [Desk] asks it once in a decision, and
// not before a registry is to be asked. What cannot be found out is an error and never
// anonymous: nobody falls back to less than the workload has.
package tenant

import (
	"context"
	"fmt"
	"sync"

	"github.com/assay-dev/assay/builtins/oci"
)

// Workload is what a decision is about, as far as credentials go.
type Workload struct {
	// Namespace is that of the object; "" is none.
	Namespace string
	// ServiceAccount is what its Pods run as.
	ServiceAccount string
	// PullSecrets are the names in imagePullSecrets of its Pod spec.
	PullSecrets []string
	// Path is where the Pod spec stands in the object, for messages.
	Path string
}

// Asker is who asks: a workload itself or, with its Secrets, a policy that names some.
type Asker struct {
	Workload
	// Named are the names in signaturePullSecrets; nil is the workload itself.
	Named []string
	// Behind are the credentials of the installation, for registries that the workload
	// itself has none for. They never stand behind those that are named.
	Behind oci.Credentials
}

// Source finds credentials. Its errors must not hold what is secret. It is safe for
// concurrent use.
type Source interface {
	// AtHand answers like Find where nobody has to be asked; ok says whether it did.
	AtHand(Asker) (found oci.Credentials, ok bool, err error)
	// Find may wait. Secrets that are not there are left out; any other failure is an error.
	Find(context.Context, Asker) (oci.Credentials, error)
}

// Given is a [Source] that has everything at hand. Nil has the credentials of the
// installation for all workloads, and anonymous ones for policies that name Secrets.
type Given func(Asker) (oci.Credentials, error)

var _ Source = Given(nil)

// Named is a [Source] of Secrets that are at hand, for policies that name them. Workloads
// themselves have the credentials of the installation.
func Named(secrets func(namespace string, names []string) (oci.Credentials, error)) Given {
	return func(asker Asker) (oci.Credentials, error) {
		if asker.Named == nil {
			return asker.Behind, nil
		}
		return secrets(asker.Namespace, asker.Named)
	}
}

// AtHand implements [Source].
func (g Given) AtHand(asker Asker) (found oci.Credentials, ok bool, err error) {
	switch {
	case g != nil:
		found, err = g(asker)
	case asker.Named == nil:
		found = asker.Behind
	}
	return found, true, err
}

// Find implements [Source].
func (g Given) Find(_ context.Context, asker Asker) (oci.Credentials, error) {
	found, _, err := g.AtHand(asker)
	return found, err
}

// Desk is where one decision asks for credentials: what was answered first stays, though
// a Secret changes meanwhile. It is safe for concurrent use.
type Desk struct {
	source Source
	asker  Asker
	told   func(Asker, oci.Credentials, error)

	mu    sync.Mutex
	found map[string]outcome
}

type outcome struct {
	credentials oci.Credentials
	err         error
}

// NewDesk is the desk of a decision. told hears of each answer once.
func NewDesk(source Source, about Workload, behind oci.Credentials, told func(Asker, oci.Credentials, error)) *Desk {
	return &Desk{source: source, asker: Asker{Workload: about, Behind: behind}, told: told, found: map[string]outcome{}}
}

// AtHand gives the credentials in named Secrets, or those of the workload itself where
// named is nil, if nobody has to be asked for them.
func (d *Desk) AtHand(named []string) (credentials oci.Credentials, ok bool, err error) {
	if known, ok := d.known(named); ok {
		return known.credentials, true, known.err
	}
	// Who asks holds a lock; [Desk.Find] will say that something is wrong.
	defer func() {
		if recover() != nil {
			credentials, ok, err = oci.Credentials{}, false, nil
		}
	}()
	asker := d.of(named)
	credentials, ok, err = d.source.AtHand(asker)
	if !ok {
		return oci.Credentials{}, false, nil
	}
	out := d.keep(asker, outcome{credentials, err})
	return out.credentials, true, out.err
}

// Find is AtHand for who can wait.
func (d *Desk) Find(ctx context.Context, named []string) (credentials oci.Credentials, err error) {
	// Nobody above could recover on the goroutine of a question.
	defer func() {
		if cause := recover(); cause != nil {
			credentials, err = oci.Credentials{}, fmt.Errorf("credentials panicked: %.80v", cause)
		}
	}()
	if known, ok := d.known(named); ok {
		return known.credentials, known.err
	}
	asker := d.of(named)
	credentials, err = d.source.Find(ctx, asker)
	if err != nil && ctx.Err() != nil { // it says nothing of the credentials
		return oci.Credentials{}, err
	}
	out := d.keep(asker, outcome{credentials, err})
	return out.credentials, out.err
}

// Without is the message of a question that has no credentials to be asked with. Of the
// workload's own it has policy-controller's form (AUTH-2): the cause, and the Pod spec.
func (d *Desk) Without(named []string, cause string) string {
	switch {
	case named != nil:
		return "signaturePullSecrets: " + cause
	case d.asker.Path != "":
		return cause + ": " + d.asker.Path
	}
	return cause
}

// Namespace is that of the workload.
func (d *Desk) Namespace() string { return d.asker.Namespace }

// Own names the credentials of the workload itself, "" where nobody asked for them.
func (d *Desk) Own() string {
	known, _ := d.known(nil)
	return known.credentials.ID
}

func (d *Desk) of(named []string) Asker {
	asker := d.asker
	asker.Named = named
	return asker
}

func (d *Desk) known(named []string) (outcome, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out, ok := d.found[keyOf(named)]
	return out, ok
}

// keep keeps an answer, unless there is one.
func (d *Desk) keep(asker Asker, out outcome) outcome {
	if out.err != nil {
		out.credentials = oci.Credentials{}
	}
	key := keyOf(asker.Named)
	d.mu.Lock()
	first, ok := d.found[key]
	if !ok {
		d.found[key] = out
	}
	d.mu.Unlock()
	if ok {
		return first
	}
	d.told(asker, out.credentials, out.err)
	return out
}

func keyOf(named []string) string {
	if named == nil {
		return ""
	}
	return fmt.Sprintf("%q", named)
}
