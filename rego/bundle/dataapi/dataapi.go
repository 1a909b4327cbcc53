// Package dataapi is OPA's Data API over what bundles brought: OPA's own handler, of which
// only the questions are let through.
//
// It evaluates plain Rego as OPA does. ClusterImagePolicies are no part of it, and a builtin
// that asks a registry answers that it needs the engine: there are no credentials here.
package dataapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	opa "github.com/open-policy-agent/opa/v1/server"

	"github.com/assay-dev/assay/rego/bundle/decisions/masks"
)

// Health is the path of OPA's health, for GET.
const Health = "/health"

// Paths are those of the Data API, for POST, as Echo writes them.
func Paths() []string { return []string{"/v1/data", "/v1/data/*", "/v0/data", "/v0/data/*"} }

// New makes the handler. The manager is not started yet.
func New(ctx context.Context, manager *plugins.Manager) (http.Handler, error) {
	server, err := opa.New().WithManager(manager).WithStore(manager.Store).
		WithDecisionLoggerWithErr(func(ctx context.Context, info *opa.Info) error {
			to := logs.Lookup(manager)
			if to == nil {
				return nil
			}
			if err := masks.Defined(ctx, manager, info.Txn); err != nil { // which OPA does not ask
				manager.Logger().Error("Decision log of the Data API: %v.", err)
				return nil
			}
			return to.Log(ctx, readable(info))
		}).Init(ctx)
	if err != nil {
		return nil, fmt.Errorf("data API: %w", err)
	}
	return only{server}, nil
}

// readable is what is logged of an answer. Why there is none is among what is our own: OPA's upload
// reads its entries back to split them, cannot read an error, and would lose all others with it.
func readable(info *opa.Info) *opa.Info {
	if info.Error == nil {
		return info
	}
	out := *info
	out.Custom = maps.Clone(info.Custom)
	if out.Custom == nil {
		out.Custom = map[string]any{}
	}
	out.Custom["error"], out.Error = info.Error.Error(), nil
	return &out
}

// only lets through what OPA's server has besides writing.
type only struct{ server *opa.Server }

// ServeHTTP implements [http.Handler].
func (o only) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allowed(r.Method, r.URL.EscapedPath()) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	// OPA reads YAML, too, whose aliases make gigabytes of a megabyte.
	if strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "yaml") {
		http.Error(w, "want JSON", http.StatusUnsupportedMediaType)
		return
	}
	o.server.Handler.ServeHTTP(w, r)
}

func allowed(method, path string) bool {
	if method != http.MethodPost {
		return method == http.MethodGet && path == Health
	}
	return slices.ContainsFunc(Paths(), func(route string) bool {
		below, ok := strings.CutSuffix(route, "*")
		if !ok {
			return path == route
		}
		document, ok := strings.CutPrefix(path, below)
		return ok && !system(document)
	})
}

// system says whether a path leads to OPA's own documents, as OPA reads it: its router decodes
// the path, and it decodes each part of that once more.
func system(path string) bool {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return true // it leads nowhere
	}
	for part := range strings.SplitSeq(decoded, "/") {
		if part == "" {
			continue
		}
		if twice, err := url.PathUnescape(part); err == nil {
			part = twice
		}
		return ast.SystemDocumentKey.Equal(ast.String(part))
	}
	return false
}
