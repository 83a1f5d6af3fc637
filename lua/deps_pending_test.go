package lua

import _ "github.com/alicebob/miniredis/v2"
