package cip

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var errPEM = errors.New("error during PEM decoding")

func (v *validation) key(path string, k *KeyRef) {
	v.exactlyOne(count(k.Data != "", k.KMS != "", k.SecretRef != nil), path+".data", path+".kms", path+".secretref")
	switch strings.ToLower(k.HashAlgorithm) {
	case "", "sha224", "sha256", "sha384", "sha512":
	default:
		v.invalid(k.HashAlgorithm, path+".hashAlgorithm", "")
	}
	if k.Data != "" {
		if _, err := ParseKey([]byte(k.Data)); err != nil {
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
		if s.Namespace != "" && s.Namespace != systemNamespace {
			v.invalid(s.Namespace, path+".secretref.namespace", "secretref.namespace is invalid. "+
				"If set, it should use the same namespace where the policy-controller was deployed")
		}
	}
}

// errPEMKey is upstream's text for what is no key at all.
var errPEMKey = errors.New("PEM decoding failed")

// ParseKey reads what the data of a [KeyRef] may hold, and returns that alone: the
// first PEM block where it is a public key, or a chain of certificates (unlike
// upstream, which refuses the certificates of ca-cert too) where it is one.
// Anything else, a private key foremost, is an error that repeats none of it.
func ParseKey(data []byte) (string, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return "", errPEMKey
	}
	if block.Type == "CERTIFICATE" {
		return parseChain(data)
	}
	if err := checkPublicKey(data); err != nil {
		return "", err
	}
	// Written anew: what stands before and after the block is not wanted.
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})), nil
}

// MostCertificates bounds a chain that a [KeyRef] holds; three are common.
const MostCertificates = 16

func parseChain(data []byte) (string, error) {
	certificates, err := parseCertificates(data)
	if err != nil {
		return "", err
	}
	if len(certificates) > MostCertificates {
		return "", fmt.Errorf("got %d certificates, want at most %d", len(certificates), MostCertificates)
	}
	var out bytes.Buffer
	for _, certificate := range certificates {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// checkPublicKey looks at the first PEM block only, as whoever uses the key will.
func checkPublicKey(data []byte) error {
	block, _ := pem.Decode(data)
	if block == nil {
		return errPEM
	}
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		_, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		_, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		err = fmt.Errorf("got a PEM block of type %s, want PUBLIC KEY", blockType(block))
	}
	return err
}

// blockLabel is what the labels of PEM look like; others may be a secret.
var blockLabel = regexp.MustCompile(`^[A-Z0-9 ]{1,64}$`)

func blockType(block *pem.Block) string {
	if !blockLabel.MatchString(block.Type) {
		return "unknown"
	}
	return strconv.Quote(block.Type)
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
