package builtins

import (
	"context"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociBlob() declare.Builtin {
	return byDigest(declare.Builtin{
		Name: "oci.blob",
		Text: "Reads a blob of a repository as text, such as the layer of a referrer. The bytes were hashed. " +
			"Bytes that are not UTF-8 are `malformed`.",
		Args:    []declare.Field{declare.Named("ref", types.S, "the repository with the digest of the blob, `registry/repository@sha256:…`")},
		Answer:  "the blob",
		Members: []declare.Field{declare.Named("value", types.S, "the text; empty when not `ok`")},
		Codes:   registryCodes(),
		Examples: []declare.Example{{
			Expression: `json.unmarshal(oci.blob(concat("@", [
  "ghcr.io/acme/app", oci.manifest(oci.referrers("${app@}").value[0].ref).value.layers[0].digest,
])).value).mediaType`,
			Value: `"application/vnd.dev.sigstore.bundle.v0.3+json"`,
		}},
	}, "", func(ctx context.Context, from Registry, as oci.Credentials, image oci.Reference) (any, error) {
		content, err := from.Blob(ctx, as, image.Name)
		if err == nil && !utf8.Valid(content) {
			err = &oci.Error{Code: oci.Malformed, Message: "blob " + image.Name + ": got bytes that are not UTF-8, want text"}
		}
		return string(content), err
	})
}
