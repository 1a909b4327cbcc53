package pure

import (
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/sigstore/fulcio"
)

// mostCertificate bounds a certificate. Fulcio's have 1 to 3 KB.
const mostCertificate = 64 << 10

func x509Extensions() declare.Builtin {
	return declare.Builtin{
		Name: "x509.extensions",
		Text: "Reads what Fulcio writes into a certificate. It verifies nothing: what `cosign.verify` answers was verified, this was not. " +
			"Several certificates are `malformed`.",
		Args:   []declare.Field{declare.Named("certificate", types.S, "one certificate, in PEM or as base64 of DER")},
		Answer: "what the certificate says",
		Members: []declare.Field{declare.ObjectOrNull("value", "null when not `ok`",
			declare.Named("subject", types.S, "the subject alternative name; empty where there is none, or are several"),
			declare.Named("subjects", declare.List(types.S), "all subject alternative names"),
			declare.Named("issuer", types.S, "who vouched for the subject to Fulcio; empty where that is not said"),
			declare.Named("certificate_issuer", types.S, "the distinguished name of who signed the certificate"),
			declare.Named("extensions", declare.Words(), "Fulcio's others, by the names that `cosign.verify` uses"),
			declare.Named("not_before", types.S, "RFC 3339, in UTC"),
			declare.Named("not_after", types.S, "RFC 3339, in UTC"),
		)},
		Codes: []declare.Code{declare.Malformed, declare.TooLarge},
		Examples: []declare.Example{{
			Expression: `x509.extensions(oci.manifest(oci.resolve(concat("", [
  "ghcr.io/acme/app:", replace(oci.parse("${app@}").digest, ":", "-"), ".sig",
])).ref).value.layers[0].annotations["dev.sigstore.cosign/certificate"]).value`,
			Value: `{"subject": "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
 "subjects": ["https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"],
 "issuer": "https://token.actions.githubusercontent.com", "certificate_issuer": "…",
 "extensions": {"githubWorkflowRepository": "acme/app"}, "not_before": "…", "not_after": "…"}`,
		}},
		Call: calling(func(operands []*ast.Term) (any, *declare.Problem) {
			text, p := declare.Text("certificate", operands[0])
			if p != nil {
				return nil, p
			}
			if len(text) > mostCertificate {
				return nil, declare.Refuse(declare.TooLarge, "certificate: got "+strconv.Itoa(len(text))+" bytes, want at most "+strconv.Itoa(mostCertificate))
			}
			value, err := fulcio.Parse(text)
			if err != nil {
				return nil, declare.Refuse(declare.Malformed, "certificate: "+err.Error())
			}
			return value, nil
		}),
	}
}
