package cloud

import "regexp"

// Cloud names whose registries there are.
type Cloud string

// The clouds.
const (
	ECR       Cloud = "ECR"
	ECRPublic Cloud = "ECR Public"
	Google    Cloud = "Artifact Registry"
	ACR       Cloud = "ACR"
)

// host is a registry of a cloud.
type host struct {
	name   string // as references spell it: lower case, no port
	cloud  Cloud
	region string // of ECR: whose endpoint is asked
	fips   bool   // of ECR
	source source
}

// publicECR is one registry for all regions.
const publicECR = "public.ecr.aws"

// The hosts of the clouds, whole. A port, a trailing dot, an upper-case letter or a label more is another host.
var (
	// An account in a region, by its name over IPv4 and by the one that has both.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
	ecrHost  = regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr(-fips)?\.([a-z]{2,4}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2})\.([a-z0-9.-]+)$`)
	ecrHosts = regexp.MustCompile(`^[0-9]{12}\.dkr-ecr(-fips)?\.([a-z]{2,4}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2})\.([a-z0-9.-]+)$`)
	// https://cloud.google.com/artifact-registry/docs/transition/gcr-hosting
	gcrHost      = regexp.MustCompile(`^(?:[a-z][a-z0-9-]{0,61}[a-z0-9]\.)?gcr\.io$`)
	artifactHost = regexp.MustCompile(`^[a-z][a-z0-9-]{0,61}[a-z0-9]\.pkg\.dev$`)
	// The name of a registry, perhaps with the hash of its tenant.
	// https://learn.microsoft.com/azure/container-registry/container-registry-get-started-portal
	acrHost = regexp.MustCompile(`^[a-z0-9]{5,50}(?:-[a-z0-9]{1,20})?\.azurecr\.(io|cn|us)$`)
	// The partitions of AWS whose regions are no others'.
	apartRegion = regexp.MustCompile(`^(?:cn|eusc|us-iso[a-z]?|eu-isoe)-`)
)

// parse reads a host of a cloud.
func parse(name string) (host, bool) {
	switch {
	case name == publicECR:
		return host{name: name, cloud: ECRPublic, region: "us-east-1"}, true // the one region that has its endpoint
	case gcrHost.MatchString(name), artifactHost.MatchString(name):
		return host{name: name, cloud: Google}, true
	case acrHost.MatchString(name):
		return host{name: name, cloud: ACR}, true
	}
	for _, of := range []struct {
		form     *regexp.Regexp
		suffixes map[string]string
	}{{ecrHost, ipv4Suffixes()}, {ecrHosts, dualSuffixes()}} {
		found := of.form.FindStringSubmatch(name)
		if found == nil {
			continue
		}
		fips, region, suffix := found[1] != "", found[2], found[3]
		partition, known := of.suffixes[suffix]
		if !known || partition != apartRegion.FindString(region) {
			return host{}, false
		}
		return host{name: name, cloud: ECR, region: region, fips: fips}, true
	}
	return host{}, false
}

// ipv4Suffixes are the partitions of AWS, and how their regions begin where that is theirs alone.
func ipv4Suffixes() map[string]string {
	return map[string]string{
		"amazonaws.com": "", "amazonaws.com.cn": "cn-", "amazonaws.eu": "eusc-",
		"c2s.ic.gov": "us-iso-", "sc2s.sgov.gov": "us-isob-", "csp.hci.ic.gov": "us-isof-", "cloud.adc-e.uk": "eu-isoe-",
	}
}

func dualSuffixes() map[string]string {
	return map[string]string{"on.aws": "", "on.amazonwebservices.com.cn": "cn-"}
}
