package builtins

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociReferrers() declare.Builtin {
	blank := func(p *declare.Problem) any { return content{Value: []oci.Referrer{}, Error: p} }
	return networked(declare.Builtin{
		Name: "oci.referrers",
		Text: "Lists what refers to an image: signatures, attestations, bills of materials and whatever else was pushed with it as its subject, " +
			"from the referrers API or from the fallback tag of OCI 1.1. The list is the registry's word and nothing in it is verified: " +
			"it says where to look, and that something is missing from it proves nothing.",
		Args:   []declare.Field{declare.Named("ref", types.S, "the image, by digest")},
		Answer: "the referrers",
		Members: []declare.Field{declare.Objects("value", "the descriptors, in the order of their digests; empty when not `ok`",
			declare.Named("mediaType", types.S, "of the manifest"),
			declare.Named("artifactType", types.S, "what it is; empty where the registry does not say"),
			declare.Named("digest", types.S, "`sha256:…`"),
			declare.Named("size", types.N, "of the manifest, in bytes"),
			declare.Named("annotations", declare.Words(), "as the registry lists them"),
			declare.Named("ref", types.S, "`registry/repository@digest`, for `oci.manifest`"),
		)},
		Codes: registryCodes(),
		Examples: []declare.Example{{
			Expression: `oci.referrers("${app@}")`,
			Value: `{"ok": true, "error": null, "value": [{
  "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
  "digest": "sha256:…", "size": 873, "annotations": {
    "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1",
    "org.opencontainers.image.created": "2026-06-01T12:00:00Z"}, "ref": "ghcr.io/acme/app@sha256:…"}]}`,
		}},
	}, blank, func(s *Session, operands []*ast.Term) (question, *declare.Problem) {
		image, p := pinned(operands[0])
		if p != nil {
			return question{}, p
		}
		return question{host: image.Registry, about: image.Name, lives: evidenceLives, get: func(ctx context.Context, as oci.Credentials) (any, time.Time, *declare.Problem) {
			found, err := s.facts.registry.Referrers(ctx, as, image.Name)
			if err != nil {
				return nil, time.Time{}, problemOf(err)
			}
			until := time.Time{}
			if len(found) == 0 { // as for signatures: one may arrive a moment after the image
				until = s.facts.options.Now().Add(notThereLives)
			}
			return content{OK: true, Value: found}, until, nil
		}}, nil
	})
}
