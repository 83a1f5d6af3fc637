package memory

import (
	"fmt"
	"strings"

	"nearside/matcher"
)

// stepsOf explains what was done for the group, the offset and exclude_self of sub. If
// again is true, a second scan compared that number of rows of the groups of the answer.
func stepsOf(sub *matcher.SubRequest, again bool, compared int) (steps []string) {
	c := sub.Candidates
	if ids := sub.Excluded(); ids != nil {
		steps = append(steps, "exclude_self: leaves out "+c.Origin.Singular()+" "+joinIDs(ids))
	} else if c.ExcludeSelf {
		steps = append(steps, "exclude_self: the reference is not known to be one of the "+c.Origin.String())
	}
	if c.Group != nil {
		step := fmt.Sprintf("group: found the first %d groups by %s", c.Ranked(), c.Group.By.Name)
		if again {
			step += fmt.Sprintf("; a second scan compared %d rows of the groups in the answer", compared)
		}
		steps = append(steps, step)
	}
	if c.Offset > 0 {
		what := "rows"
		if c.Group != nil {
			what = "groups"
		}
		steps = append(steps, fmt.Sprintf("offset: skipped the first %d %s", c.Offset, what))
	}
	return steps
}

// joinIDs returns ids, separated by commas.
func joinIDs(ids []matcher.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ", ")
}
