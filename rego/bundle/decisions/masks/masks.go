// Package masks asks whether the policies that mask and drop entries of decision logs are there.
//
// OPA logs an entry as it is where a mask has no value, also where nothing defines it: a
// misspelling, or a bundle's revision without that package, would show what was to be masked.
package masks

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/util"
)

// Defined says that whatever the configuration of decision logs names to mask and to drop is
// there: a rule, whatever its value, or data. Nothing named is nothing missing. The transaction is
// one of the manager's store: as long as it is open nobody changes what is defined.
func Defined(ctx context.Context, m *plugins.Manager, txn storage.Transaction) error {
	var said struct {
		Mask *string `json:"mask_decision"`
		Drop *string `json:"drop_decision"`
	}
	if text := m.GetConfig().DecisionLogs; len(text) > 0 {
		if err := util.Unmarshal(text, &said); err != nil {
			return fmt.Errorf("decision_logs: %w", err)
		}
	}
	for _, of := range []struct {
		field string
		path  *string
	}{{"mask_decision", said.Mask}, {"drop_decision", said.Drop}} {
		if of.path != nil && !defined(ctx, m, txn, *of.path) {
			return fmt.Errorf("decision_logs.%s: got %.200s, which nothing defines, want a rule of a bundle: the entry is not logged", of.field, *of.path)
		}
	}
	return nil
}

// defined reads a path as OPA does (internal/ref, ParseDataPath).
func defined(ctx context.Context, m *plugins.Manager, txn storage.Transaction, text string) bool {
	path, ok := storage.ParsePath("/" + strings.TrimPrefix(text, "/"))
	if !ok {
		return false
	}
	if compiler := m.GetCompiler(); compiler != nil && len(compiler.GetRulesForVirtualDocument(path.Ref(ast.DefaultRootDocument))) > 0 {
		return true
	}
	_, err := m.Store.Read(ctx, txn, path)
	return err == nil
}
