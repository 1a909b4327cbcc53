package writes_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/writes"
)

func TestWhatATransactionDid(t *testing.T) {
	t.Parallel()
	store := writes.New(inmem.NewFromObject(map[string]any{"a": map[string]any{"b": true}}))
	for name, tt := range map[string]struct {
		params []storage.TransactionParams
		do     func(storage.Transaction) error
		writes bool
		puts   bool
	}{
		"reads":   {nil, func(storage.Transaction) error { return nil }, false, false},
		"nothing": {[]storage.TransactionParams{storage.WriteParams}, func(storage.Transaction) error { return nil }, true, false},
		"takes data out": {[]storage.TransactionParams{storage.WriteParams}, func(txn storage.Transaction) error {
			return store.Write(t.Context(), txn, storage.RemoveOp, storage.MustParsePath("/a/b"), nil)
		}, true, false},
		"puts data there": {[]storage.TransactionParams{storage.WriteParams}, func(txn storage.Transaction) error {
			return store.Write(t.Context(), txn, storage.AddOp, storage.MustParsePath("/a/c"), 1)
		}, true, true},
		"replaces data": {[]storage.TransactionParams{storage.WriteParams}, func(txn storage.Transaction) error {
			return store.Write(t.Context(), txn, storage.ReplaceOp, storage.MustParsePath("/a/b"), 1)
		}, true, true},
		"puts a policy": {[]storage.TransactionParams{storage.WriteParams}, func(txn storage.Transaction) error {
			return store.UpsertPolicy(t.Context(), txn, "p", []byte("package p\n"))
		}, true, true},
	} {
		txn, err := store.NewTransaction(t.Context(), tt.params...)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.do(txn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := store.Ended(txn)
		if (got != nil) != tt.writes || got != nil && got.Puts != tt.puts {
			t.Errorf("%s: got %+v, want writes %t and puts %t", name, got, tt.writes, tt.puts)
		}
		store.Abort(t.Context(), txn)
	}
}
