package wiring

import (
	"context"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// Watched is who is told of the work of decisions. Whatever is nil is told nothing.
type Watched struct {
	Observer observe.Observer
	// Heard is told each answer of a registry, by its code.
	Heard func(code string)
	// NoToken is told why a cloud gave no token for a registry of its own. The error names accounts and roles.
	NoToken func(error)
	// Looked counts what serves again.
	Looked *builtins.Looked
}

func (w Watched) heard(code string) {
	if w.Heard != nil {
		w.Heard(code)
	}
}

func (w Watched) noToken(err error) {
	if w.NoToken != nil {
		w.NoToken(err)
	}
}

// tenants are the source, and whoever waits for it is seen to.
func (w Watched) tenants(from tenant.Source) tenant.Source {
	if w.Observer == nil {
		return from
	}
	return found{from, w.Observer}
}

type found struct {
	tenant.Source
	by observe.Observer
}

// Find implements [tenant.Source].
func (f found) Find(ctx context.Context, asker tenant.Asker) (oci.Credentials, error) {
	ctx, end := observe.Begin(ctx, f.by, observe.Work{Stage: observe.Credentials})
	credentials, err := f.Source.Find(ctx, asker)
	end(observe.CodeOf(err))
	return credentials, err
}

// RootFailure is why a source could not be refreshed the last time, nil where it could or has
// no repository behind a URL.
func RootFailure(source RootSource) error {
	switch source := source.(type) {
	case KeptRoot:
		return RootFailure(source.RootSource)
	case repositoryRoot:
		return source.Failure()
	}
	return nil
}

// RootAge is when the repository of a source was last read, and when the first of its
// metadata expires: zero times for what has none.
func RootAge(source RootSource) (read, expires time.Time) {
	switch source := source.(type) {
	case KeptRoot:
		return RootAge(source.RootSource)
	case repositoryRoot:
		return source.Age()
	case archivedRoot:
		return read, source.Expires()
	}
	return read, expires
}
