package cip

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip/pubkey"
)

func (v *validation) key(path string, k *KeyRef) {
	v.exactlyOne(count(k.Data != "", k.KMS != "", k.SecretRef != nil), path+".data", path+".kms", path+".secretref")
	switch strings.ToLower(k.HashAlgorithm) {
	case "", "sha224", "sha256", "sha384", "sha512":
	default:
		v.invalid(k.HashAlgorithm, path+".hashAlgorithm", "")
	}
	if k.Data != "" {
		if _, err := pubkey.Parse([]byte(k.Data)); err != nil {
			v.invalid(k.Data, path+".data", "")
		}
	}
	if k.KMS != "" {
		if problem := kmsProblem(k.KMS); problem != "" {
			v.invalid(k.KMS, path+".kms", problem)
		}
	}
	if s := k.SecretRef; s != nil {
		if s.Name == "" { // ours: no Secret is without a name
			v.missing(path + ".secretref.name")
		}
		if s.Namespace != "" && s.Namespace != cmp.Or(v.settings.Namespace, systemNamespace) {
			v.invalid(s.Namespace, path+".secretref.namespace", "secretref.namespace is invalid. "+
				"If set, it should use the same namespace where the policy-controller was deployed")
		}
	}
}

// awsReference is awskms://HOST/KEY, where KEY is the id of a key, an alias, or
// the ARN of one of them; its groups are HOST and KEY.
// See https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
var awsReference = regexp.MustCompile(`^awskms://([^/]*)/((?:arn:(?:aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:)?` +
	`(?:alias/.*|key/` + awsKeyID + `)|` + awsKeyID + `)$`)

const awsKeyID = `(?:mrk-?)?[A-Fa-f0-9]{8}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{12}`

// kmsProblem returns what is wrong with a KMS reference, or nothing.
func kmsProblem(kms string) string {
	switch scheme, _, found := strings.Cut(kms, "://"); {
	case found && scheme == "awskms":
		return awsProblem(kms)
	// Unlike upstream, whose message forgets openbao and whose documents have it.
	case found && slices.Contains([]string{"azurekms", "hashivault", "openbao", "gcpkms"}, scheme):
		return ""
	}
	return "malformed KMS format, should be prefixed by any of the supported providers: " +
		"[awskms:// azurekms:// hashivault:// gcpkms://]"
}

func awsProblem(kms string) string {
	const wanted = "kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)"
	if strings.Count(kms, "/") < 3 {
		return "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard " +
			"documented here: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
	}
	match := awsReference.FindStringSubmatch(kms)
	if match == nil || strings.HasPrefix(match[2], "key/") {
		return wanted
	}
	host, key := match[1], match[2]
	// The key was written where the endpoint belongs: awskms://arn:…
	if strings.HasPrefix(host, "arn") || strings.HasPrefix(host, "alias") {
		return wanted
	}
	if problem := endpointProblem(host); host != "" && problem != "" {
		return "malformed endpoint: address " + host + ": " + problem
	}
	// The message promises ids and aliases, and upstream takes ARNs only. So do we:
	// which key the others mean is the environment's to say, not the policy's.
	if !strings.HasPrefix(key, "arn:") {
		return "failed to parse either key or alias arn: arn: invalid prefix"
	}
	return ""
}

// endpointProblem says of host:port what package net would.
func endpointProblem(endpoint string) string {
	if _, port, found := strings.Cut(endpoint, "]"); found {
		endpoint = port
	}
	switch strings.Count(endpoint, ":") {
	case 0:
		return "missing port in address"
	case 1:
		return ""
	default:
		return "too many colons in address"
	}
}
