package bundle

import (
	"context"
	"errors"
	"testing"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/writes"
)

// unreadable is a store that cannot be read from some time on.
type unreadable struct {
	storage.Store
	broken bool
}

var errUnread = errors.New("unread")

func (s *unreadable) Read(ctx context.Context, txn storage.Transaction, path storage.Path) (any, error) {
	if s.broken {
		return nil, errUnread
	}
	return s.Store.Read(ctx, txn, path)
}

// TestAnActivationThatCannotBeReadIsRefused: of which bundles it is, nobody knows then. Taken for one that
// takes all of them out, it would be in the store, where OPA's plugins evaluate it, and nobody had seen it.
func TestAnActivationThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		op   storage.PatchOp
		want error
	}{
		"an activation":               {storage.AddOp, errUnread},
		"what only takes bundles out": {storage.RemoveOp, nil}, // OPA would end the program
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &unreadable{Store: inmem.NewFromObject(map[string]any{"old": true})}
			shown := func(context.Context, Content) { t.Error("got it shown, want nobody to see half of it") }
			g := newGate(func(ctx context.Context, next Content) (func(), error) {
				shown(ctx, next)
				return func() {}, nil
			}, shown, nil)
			g.Store, g.names = writes.New(store), []string{"main"}
			txn, err := g.NewTransaction(t.Context(), storage.WriteParams)
			if err != nil {
				t.Fatal(err)
			}
			path := map[storage.PatchOp]string{storage.AddOp: "/new", storage.RemoveOp: "/old"}[tt.op]
			if err := g.Write(t.Context(), txn, tt.op, storage.MustParsePath(path), true); err != nil {
				t.Fatal(err)
			}
			store.broken = true
			if err := g.Commit(t.Context(), txn); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			store.broken = false
			if got, err := storage.ReadOne(t.Context(), g, storage.MustParsePath("/new")); !storage.IsNotFound(err) {
				t.Errorf("got %v and %v in the store, want nothing of it", got, err)
			}
		})
	}
}
