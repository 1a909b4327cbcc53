// Package kms knows what references of keys in key management services look like
// (VAL-9, VAL-10). It asks none of them.
package kms

import (
	"regexp"
	"slices"
	"strings"
)

// awsReference is awskms://HOST/KEY, where KEY is the id of a key, an alias, or
// the ARN of one of them; its groups are HOST and KEY.
// See https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
var awsReference = regexp.MustCompile(`^awskms://([^/]*)/((?:arn:(?:aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:[0-9]{12}:)?` +
	`(?:alias/.*|key/` + awsKeyID + `)|` + awsKeyID + `)$`)

const awsKeyID = `(?:mrk-?)?[A-Fa-f0-9]{8}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{4}-?[A-Fa-f0-9]{12}`

// Problem returns what is wrong with a reference, or nothing.
func Problem(reference string) string {
	switch scheme, _, found := strings.Cut(reference, "://"); {
	case found && scheme == "awskms":
		return awsProblem(reference)
	// Unlike upstream, whose message forgets openbao and whose documents have it.
	case found && slices.Contains([]string{"azurekms", "hashivault", "openbao", "gcpkms"}, scheme):
		return ""
	}
	return "malformed KMS format, should be prefixed by any of the supported providers: " +
		"[awskms:// azurekms:// hashivault:// gcpkms://]"
}

func awsProblem(reference string) string {
	const wanted = "kms key should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN] (endpoint optional)"
	if strings.Count(reference, "/") < 3 {
		return "malformed AWS KMS format 'awskms://$ENDPOINT/$KEYID', should be conformant with KMS standard " +
			"documented here: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id"
	}
	match := awsReference.FindStringSubmatch(reference)
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
