package cloud_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci/cloud"
)

// TestOnlyACloudsOwnHostsAreIts: all others are hosts of strangers, however they look.
func TestOnlyACloudsOwnHostsAreIts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "example.com", "ghcr.io", "index.docker.io", "127.0.0.1", "[::1]",
		// The words of the installation's own flag are no hosts.
		"ecr", "gcr", "acr", "*.azurecr.io", "*.dkr.ecr.eu-central-1.amazonaws.com",
		// Azure.
		"azurecr.io", ".azurecr.io", "evil-azurecr.io", "acmeazurecr.io", "azurecr.io.evil.com", "acme.azurecr.io.evil.com",
		"acme.azurecr.io:443", "acme.azurecr.io:8443", "acme.azurecr.io.", "Acme.azurecr.io", "acme.AZURECR.io", "acme.azurecr.de",
		"evil.acme.azurecr.io", "acme.eastus.data.azurecr.io", "acme_.azurecr.io", "acmé.azurecr.io", "xn--acm-epa.azurecr.io", "acme.azurecr.io/",
		"user@acme.azurecr.io", "user:pw@acme.azurecr.io", "acme.azurecr.io@evil.com", "acme.azurecr.io#.evil.com", "acme.azurecr.io?", "acme.azurecr.io\n",
		"acme.azurecr.io%2eevil.com", "acme.azurecr.io%00", " acme.azurecr.io", "https://acme.azurecr.io", "acmé。azurecr.io", "acme。azurecr.io",
		strings.Repeat("a", 51) + ".azurecr.io", "abcd.azurecr.io",
		// Google.
		"evil-gcr.io", "evilgcr.io", "gcr.io.evil.com", ".gcr.io", "a.b.gcr.io", "gcr.io:443", "gcr.io.", "GCR.io", "gcr.com",
		"pkg.dev", ".pkg.dev", "us-docker.pkg.dev.evil.com", "evil-pkg.dev", "a.us-docker.pkg.dev", "us-docker.pkg.dev:8443", "us-docker.pkg.dev.",
		"us-.gcr.io", "-us.gcr.io", "us-docker.pkg.de",
		// Amazon.
		"amazonaws.com", "dkr.ecr.eu-central-1.amazonaws.com", "123.dkr.ecr.eu-central-1.amazonaws.com", "1234567890123.dkr.ecr.eu-central-1.amazonaws.com",
		"12345678901a.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.com",
		"123456789012.dkr.ecr.eu-central-1.evil-amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com:443",
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com.", "123456789012.DKR.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr..amazonaws.com",
		"123456789012.dkr.ecr.amazonaws.com", "123456789012.dkr.ecr.evil.com/.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.x.amazonaws.com",
		"123456789012.dkr.ecr.evil.com#-1.amazonaws.com", "123456789012.dkr-ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.on.aws",
		"evil.123456789012.dkr.ecr.eu-central-1.amazonaws.com", "123456789012xdkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr-fipss.us-east-1.amazonaws.com",
		"١٢٣٤٥٦٧٨٩٠١٢.dkr.ecr.eu-central-1.amazonaws.com",
		// A region of another partition.
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com.cn", "123456789012.dkr.ecr.us-iso-east-1.amazonaws.com",
		"123456789012.dkr.ecr.us-isob-east-1.c2s.ic.gov", "123456789012.dkr-ecr.cn-north-1.on.aws",
		"evil.public.ecr.aws", "public.ecr.aws:443", "public.ecr.aws.", "public-ecr.aws", "Public.ecr.aws", "api.ecr-public.us-east-1.amazonaws.com",
	} {
		if got, _ := cloud.CloudOf(name); got != "" {
			t.Errorf("%q: got %s, want no cloud", name, got)
		}
		if _, err := cloud.Credentials([]string{name}, cloud.Options{}); err == nil {
			t.Errorf("%q: got credentials, want an error", name)
		}
	}
}

func TestHostsOfClouds(t *testing.T) {
	t.Parallel()
	type is struct {
		Cloud  cloud.Cloud
		Region string
	}
	for name, want := range map[string]is{
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com":             {cloud.ECR, "eu-central-1"},
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":       {cloud.ECR, "us-gov-west-1"},
		"123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn":        {cloud.ECR, "cn-northwest-1"},
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu":            {cloud.ECR, "eusc-de-east-1"},
		"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov":               {cloud.ECR, "us-iso-east-1"},
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           {cloud.ECR, "us-isob-east-1"},
		"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov":         {cloud.ECR, "us-isof-south-1"},
		"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk":          {cloud.ECR, "eu-isoe-west-1"},
		"123456789012.dkr-ecr.ap-southeast-2.on.aws":                  {cloud.ECR, "ap-southeast-2"},
		"123456789012.dkr-ecr-fips.us-east-1.on.aws":                  {cloud.ECR, "us-east-1"},
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": {cloud.ECR, "cn-north-1"},
		"public.ecr.aws": {cloud.ECRPublic, "us-east-1"},
		"gcr.io":         {cloud.Google, ""}, "eu.gcr.io": {cloud.Google, ""}, "us-docker.pkg.dev": {cloud.Google, ""}, "europe-west3-docker.pkg.dev": {cloud.Google, ""},
		"acmecorp.azurecr.io": {cloud.ACR, ""}, "acmecorp.azurecr.cn": {cloud.ACR, ""}, "acmecorp.azurecr.us": {cloud.ACR, ""}, "acmecorp-a1b2c3d4.azurecr.io": {cloud.ACR, ""},
	} {
		var got is
		got.Cloud, got.Region = cloud.CloudOf(name)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

// ours is below a domain of a cloud, whatever else a host is.
var ours = regexp.MustCompile(`^([a-z0-9.-]+\.)?(amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov|csp\.hci\.ic\.gov|cloud\.adc-e\.uk|ecr\.aws|gcr\.io|pkg\.dev|azurecr\.(io|cn|us))$`)

// FuzzHost: what is taken for a host of a cloud is a name in lower case below one of its domains, which a URL keeps as
// its host.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr-ecr-fips.us-east-1.on.aws", "public.ecr.aws", "eu.gcr.io",
		"us-docker.pkg.dev", "acmecorp.azurecr.io", "acmecorp.azurecr.io:443", "user@acmecorp.azurecr.io", "acmecorp.azurecr.io.evil.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		of, region := cloud.CloudOf(name)
		if of == "" {
			return
		}
		at, err := url.Parse("https://" + name + "/v2/")
		if err != nil || at.Host != name || at.User != nil || at.Port() != "" || !ours.MatchString(name) || len(name) > 253 {
			t.Errorf("%q: got %s, want no cloud", name, of)
		}
		if strings.ContainsAny(region, "./:@") {
			t.Errorf("%q: got region %q", name, region)
		}
	})
}
