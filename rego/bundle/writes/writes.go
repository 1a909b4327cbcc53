// Package writes is a store of OPA that knows what each transaction did to it. An activation puts
// something there, a manifest at least; one that only takes out is of OPA's configuration.
package writes

import (
	"context"
	"sync"

	"github.com/open-policy-agent/opa/v1/storage"
)

// Store notes what is written to another one.
type Store struct {
	storage.Store
	mu      sync.Mutex
	writing map[uint64]*Transaction // those that write: OPA has one at a time
}

// Transaction is what one did. The zero value took out something, or did nothing.
type Transaction struct{ Puts bool }

// New is a store that notes what is written to another one.
func New(to storage.Store) *Store { return &Store{Store: to, writing: map[uint64]*Transaction{}} }

// NewTransaction implements [storage.Store].
func (s *Store) NewTransaction(ctx context.Context, params ...storage.TransactionParams) (storage.Transaction, error) {
	txn, err := s.Store.NewTransaction(ctx, params...)
	if err == nil && len(params) > 0 && params[0].Write {
		s.mu.Lock()
		s.writing[txn.ID()] = &Transaction{}
		s.mu.Unlock()
	}
	return txn, err
}

// Ended is what a transaction did that ends now, nil of one that does not write.
func (s *Store) Ended(txn storage.Transaction) *Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	wrote := s.writing[txn.ID()]
	delete(s.writing, txn.ID())
	return wrote
}

// Abort implements [storage.Store].
func (s *Store) Abort(ctx context.Context, txn storage.Transaction) {
	s.Ended(txn)
	s.Store.Abort(ctx, txn)
}

// Write implements [storage.Store].
func (s *Store) Write(ctx context.Context, txn storage.Transaction, op storage.PatchOp, path storage.Path, value any) error {
	if op != storage.RemoveOp {
		s.puts(txn)
	}
	return s.Store.Write(ctx, txn, op, path, value)
}

// UpsertPolicy implements [storage.Store].
func (s *Store) UpsertPolicy(ctx context.Context, txn storage.Transaction, id string, text []byte) error {
	s.puts(txn)
	return s.Store.UpsertPolicy(ctx, txn, id, text)
}

// Truncate implements [storage.Store].
func (s *Store) Truncate(ctx context.Context, txn storage.Transaction, params storage.TransactionParams, it storage.Iterator) error {
	s.puts(txn)
	return s.Store.Truncate(ctx, txn, params, it)
}

func (s *Store) puts(txn storage.Transaction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wrote := s.writing[txn.ID()]; wrote != nil {
		wrote.Puts = true
	}
}
