// Package pull reads the Secrets of workloads that hold credentials of registries.
//
// Each is read by name and when a decision needs it: there is no list and no watch, and no
// right to either. What was read serves for [Lives], what is not there for [AbsentLives],
// and a failure for nobody but those who wait for it. A Secret or a ServiceAccount that does
// not exist is left out, as policy-controller does (AUTH-2). Every other failure is an
// [Error]: whoever gets one must refuse, and not do without.
//
// Of a Secret nothing is kept but its docker configuration, and an error holds names alone.
// A request names one namespace, and nothing is read in another.
package pull

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/kube"
)

// Mode says whose Secrets are read.
type Mode string

// The modes. The zero value is None.
const (
	// Pods reads the imagePullSecrets of the Pod and those of its ServiceAccount. It needs
	// the right to get Secrets and ServiceAccounts in every namespace.
	Pods Mode = "pods"
	// Central reads one Secret in our own namespace for all workloads, and needs no other
	// right.
	Central Mode = "central"
	// None reads nothing.
	None Mode = "none"
)

// Request says what is to be read.
type Request struct {
	Namespace string
	// ServiceAccount is what the workload runs as; empty, the Secrets are those that a
	// policy names, and no ServiceAccount has a say (AUTH-4).
	ServiceAccount string
	// Names are those of Secrets, in their order.
	Names []string
}

// Secret is what is read of one.
type Secret struct {
	Namespace, Name string
	// Type is that of the Secret.
	Type string
	// Data is its docker configuration, by key; empty where it has none.
	Data map[string][]byte
}

// size is that of the data; of no Secret it is nothing.
func (s *Secret) size() (n int) {
	if s != nil {
		for _, data := range s.Data {
			n += len(data)
		}
	}
	return n
}

// Options are the settings of an installation.
type Options struct {
	Mode Mode
	// Secret is the name of the one that [Central] reads.
	Secret string
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// most bounds the Secrets of one request, and mostData what they hold. A Pod has one or two,
// of some kilobytes; whoever creates it could write any number of names, each of which is a
// request to the API server, and all they hold is read for each decision.
const (
	most     = 32
	mostData = 1 << 20
)

// Puller reads Secrets. It is safe for concurrent use.
type Puller struct {
	options   Options
	namespace string // our own
	objects   *objects
}

// New makes a puller of one cluster.
func New(client *kube.Client, options Options) (*Puller, error) {
	switch options.Mode {
	case Pods, None, "":
	case Central:
		if options.Secret == "" {
			return nil, errors.New("pull secrets: got mode central without the name of a Secret")
		}
	default:
		return nil, fmt.Errorf("pull secrets: got mode %q, want pods, central or none", options.Mode)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	objects, err := newObjects(client, options.Now)
	return &Puller{options: options, namespace: client.Namespace, objects: objects}, err
}

// Find reads what a request names.
func (p *Puller) Find(ctx context.Context, r Request) ([]Secret, error) {
	return p.read(r, func(k key) (object, error) { return p.objects.get(ctx, k) })
}

// AtHand is Find where nobody has to be asked; ok says whether it was.
func (p *Puller) AtHand(r Request) (found []Secret, ok bool, err error) {
	found, err = p.read(r, func(k key) (object, error) {
		o, known := p.objects.known(k)
		if !known {
			return object{}, errLater
		}
		return o, nil
	})
	if errors.Is(err, errLater) {
		return nil, false, nil
	}
	return found, true, err
}

var errLater = errors.New("not at hand")

func (p *Puller) read(r Request, get func(key) (object, error)) ([]Secret, error) {
	switch {
	case p.options.Mode == Pods && r.Namespace == "":
		return nil, nil // an object without a namespace has no Secrets
	case p.options.Mode == Pods:
		return workload(r, get)
	case r.ServiceAccount == "":
		return nil, &Error{Code: Unauthorized, Message: fmt.Sprintf("secret %q: got mode %s of pull secrets, want pods to read it", first(r.Names), p.mode())}
	case p.options.Mode == Central:
		return p.central(get)
	}
	return nil, nil
}

func (p *Puller) mode() Mode {
	if p.options.Mode == "" {
		return None
	}
	return p.options.Mode
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// central reads the one Secret. The installation says that it is there: without it nobody
// is asked anonymously.
func (p *Puller) central(get func(key) (object, error)) ([]Secret, error) {
	o, err := get(key{kube.Secrets(), p.namespace, p.options.Secret})
	switch {
	case err != nil:
		return nil, err
	case o.absent:
		return nil, &Error{Code: Unauthorized, Message: fmt.Sprintf("secret %q of namespace %s: got none, want the central one", p.options.Secret, p.namespace)}
	}
	return []Secret{*o.secret}, nil
}

// workload reads the Secrets that are named, and behind them those of the ServiceAccount
// (AUTH-1).
func workload(r Request, get func(key) (object, error)) ([]Secret, error) {
	names := distinct(nil, r.Names)
	if len(names) > most {
		return nil, tooMany(len(names))
	}
	wanted := []key{}
	for _, name := range names {
		wanted = append(wanted, key{kube.Secrets(), r.Namespace, name})
	}
	account := r.ServiceAccount != ""
	if account { // beside the others
		wanted = append(wanted, key{kube.ServiceAccounts(), r.Namespace, r.ServiceAccount})
	}
	got, err := all(wanted, get)
	if err != nil || !account {
		return secrets(got, err)
	}
	own, of := got[:len(names)], got[len(names)]
	more := distinct(names, of.pullSecrets)
	if len(names)+len(more) > most {
		return nil, tooMany(len(names) + len(more))
	}
	wanted = wanted[:0]
	for _, name := range more {
		wanted = append(wanted, key{kube.Secrets(), r.Namespace, name})
	}
	behind, err := all(wanted, get)
	return secrets(slices.Concat(own, behind), err)
}

func tooMany(n int) error {
	return &Error{Code: TooLarge, Message: fmt.Sprintf("imagePullSecrets: got %d, want at most %d", n, most)}
}

// distinct are the names that are not known, each once. Nobody bounded them yet.
func distinct(known, names []string) (out []string) {
	seen := map[string]bool{"": true}
	for _, name := range known {
		seen[name] = true
	}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// all gets objects at the same time. Of several errors it gives that of the first.
func all(wanted []key, get func(key) (object, error)) ([]object, error) {
	out, errs := make([]object, len(wanted)), make([]error, len(wanted))
	var wait sync.WaitGroup
	for i, k := range wanted {
		wait.Go(func() { out[i], errs[i] = get(k) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// secrets are those that are there, unless they hold too much.
func secrets(objects []object, err error) (out []Secret, _ error) {
	if err != nil {
		return nil, err
	}
	size := 0
	for _, o := range objects {
		if o.secret == nil {
			continue
		}
		if size += o.secret.size(); size > mostData {
			return nil, &Error{Code: TooLarge, Message: fmt.Sprintf("imagePullSecrets: got more than %d bytes in all Secrets", mostData)}
		}
		out = append(out, *o.secret)
	}
	return out, nil
}

// key names an object in its namespace.
type key struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// String is injective: quoting leaves no separator unescaped.
func (k key) String() string {
	return fmt.Sprintf("%q %q %q", k.resource.Resource, k.namespace, k.name)
}
