// Keystores that another implementation made (Python's hashlib and cryptography, from the words in docs/keys.md): the
// format is what is written there, not what this program happens to do.
#include <algorithm>
#include <string>

#include "keys_support.hpp"

namespace keys_test {

namespace {
// clang-format off
constexpr const char* kRawHeader =
    "restream-keystore/1\n"
    "id EBESExQVFhcYGRobHB0eHw==\n"
    "gen 7\n"
    "kek raw elbxwtpaLNEA+F+wtP74gQ==\n"
    "wrap MjM0NTY3ODk6Ozw9 NVsbvLZez1X3SBm4gVlGtH9Wnp5m60c+Y0UtMuX73JBkuD/d+eVjd3ip6aJFLC+5\n"
    "body RkdISUpLTE1OT1BR\n"
    "---\n";
constexpr const char* kRawBody =
    "ql7HQ5VAEyfsSiqyK87tmOePFZohoKVPe5yAIDaZFCpiUJMHxevIqsoYPevczPhH9rFbzON0GqD6qvWlJJaAtobVw10Z96ITQXtO9tv09sPWFuEg"
    "/2pI/aPChr51kpQKoR4+MoAUdbfIVoX2v9nmJBARy2KocebFWhQzOnUtS3ZmcOTs8U4qKlRrJCshpQuokvwVjKihFMN6LqaruGTomNKD/xnkMtv6"
    "6EI9BvQGIBPcSb833F4rQC2v+WfHbVPOTrOLWKpaPLErBoIj6ytN15U5UPN3Yv76lrOj43Pu+J95lkk/Kf+hVG8S5WfTyvX2g5lraLK/66nm3WJM"
    "Nb2514b3m+PtoYFHSyjyhR+2gPI5/Gw5ka4afP5eUyLT0gDe9va69MuiAELjx8XmpnizYZxMiRbmm88WkBrB7lT7qTVShoJW2t3JG2suVbuPLX2m"
    "ExYhKMGAc45smUH/jK9pXNk8zdDxqtw231o6BJ+nuhrJrrxeOSh48iqfItjDsaVVZYVJZAKOT9lCgpFWJd/ad+aFkIpbZxXsY5bsKexGK9jI9yLT"
    "OiNwvG/VHu0h1iTJX9ymiWt4f/UUZYhCSHDCFzXtoIFqdSblVYWDYxWF5MVAS4xe/aEnw95Q0k4RiZzfJ9vr1fkA4o3mLGj6YQHYIQlAK1RpHga/"
    "1qlso4Nu2PbUS09iZ5dk/r4eWPNxzJLhsv6oIVwPYH8/EVo85HLBX6UkZMmZv8zEvNxlZTiGVHW9embE8gYDXWVBXuvm4Nz0NrO/CVQ+F5QeOUVI"
    "XNeXSIf6but1puBQidX7WJv8/czWyUnRcw+CkKcD4b0urtFAnqqHY9ahMd67Gm7jGYlWX8nT9xml38uM+Z74KZpXIuVg0h1HQ0LtzjxksURToJ5j"
    "NB+i24w1XNJmZ1jz2909AwIbyysr+124+7sKmZmaRQ56Jpm7qSKtPja0fWuP5ZoqYlW4CRxrQAFMyJ3MjUtlFHaxxvmbN0QUtpIzoJ1/8VfhhabL"
    "c8GZaV5bWB92qMb7jMBM094H6OKchwXDKVEi61kvO7mTJipDKyaSmvTrrDmwb2+r2aPpUPCq7KOqcskRguqQz70DsDtxpyKlYu7zCkIz2RZPINcp"
    "it6VL21Gr+T7ZbpMUpbjz8S9vh+w4CNHlJyXQGkJD6YS9maQR28rkr9UIgzb0pLtOBg+aRR4/C+7UxlkFqXNjqJJgAshkc5CCEoNZ3R8AEm1GeaA"
    "lWLinlzO7iGu9jl9FHLj05JNaaQHro4BetZHougVZtJfZ5PSFFSJpARr8hYNtlM+Xtwji6L9DZbfBSOyrkDs2E8uTU/TmBuqPodZkT0syR+RLkIY"
    "576HKCYApz1ey9x2bxsLa2HkINdKNneM5raH2l5J7DzOy7STg2gNzfqLXOSO+LVjd7Cp5tic8fO8p1qcb07SlQs8B25R2vZtJrbRyWWMRUR0ff10"
    "lRZzIPw4naRewyUuU1W9TOL6lDkVAIrF3h8Dzmz3ZvTrzr0tbHvzdq0g514H/sMVie/Q5ECxaveOXcZ3VS9VDv+4NUZbi4s5YYO/vHiq4/XjQK0D"
    "sJoyX+cUO9Dzgdd0DTAqBxxm8nQqgQ+5IPAH2/583DvSRp2l4sBBKzSvuQ04RSxNlK4JBHIyDhrS2b/L1X/B+H7uTkNP6yRP9Z/R2hR+GmZWHQYg"
    "71rE37Zr8bKw8ldZvfCMHlTx8eIblIoKUSbIpXq9gOWqc35h1nY9l/Fix3og1mRTzE4DR+UJ03+FG7vapMSOByR7+FKVlll5g2reyzwPjn5Om9bK"
    "BrPFEJ/CjemC41Rb8CN4/8Bd4KuKrrDazWGm4VWk8mlvfeRaArW5JovW6E2BX3rkZLq25XKcCMUyEckJIQpfaaYUHszuiRqOIVocHGsgQI3lTqqq"
    "VCQFVy+fELHwzNe3w+6r6qRuQYw/Xsjgh1lcL8jX5PHiBdOBHRLgka+Rltfexgnb42zD7IHVD9vSqcLRdSTI/N4wnuFh2ZkOPScQULhlgmN39/By"
    "aV2MwYNrdAYWzNt9bXFykeFEIcno5cNBH5Id0LmHs4WHzMqfqGw7Nsepl899tCRtfVpXjWDU/eJOu75NELogbVM3lDN4kWXV/5JknaisnLJevhRg"
    "IMAjOkQ39zH0F/uZaakMbLCZ5vR14uWilmqkeQPuBKBPkSLIBQ4hErE8P33igC6WblH1ED4yhs+8ncn/Va21tjK4LiT3ZqI8HbhKZHZC/ZaSZzd5"
    "+Xs3X4rOCnM/BV6PW5ccmJy3OdNRW3JGmv4WBtOprCOTtQJASfTZpm5nn4zHUD2QPqIFZmATq148xCrTdBRdXl3IuyzZuyibf6+rlq+wv6OSeTiq"
    "J4x4zcRS6niBJKhTwyf3rb24b2HsdG/3oQD1Miqo9AH5SJEEhSI+j6huj2wW7whsc3RVAGfi5Fv3I7ZpsKQ/fkD0HfhGFWLqdndsm+KETBVClq58"
    "ZInDhhCEcFWMOlqCPCNMK00ohyhb1Abj0aMP7K3PqLyW0hU8JxGdMR+XcB77sqwH0l0CezB7YNFYvbxLnhhdE8HugzKuUTlBzGW8bi4adF8KmcLc"
    "MyT92tg7qRqIOZoY2GOL+1iV8+ZLVi3dBsSxTWAPWE0UmhsRqhp6gMpDarnNXfFkYJzVQvzH4dGR079QDx5jOgQ1PjBfvntD/lvlL+ppI8nv9CbO"
    "Zo/N0rbl1BtYaYTCYTHBA1dfphoLIOtU5RRPAAGG/pQt7r9dNY8le40dWJFnjv6kShkoT2qOiGDaZLLEIK4IO5OmuqaDUbqqpOp0uvfadlTzAGu4"
    "sKDQKFADMFF+2ZKGMEpj+m2nBI2MLSuSTou66jU6ZTGVrzqAKNNBk8pFJP0lsaVPvHzQ28Kc+RLIS1mdfaGfD3mSH/3wy1iJr2WaYJpyib8HDJ6F"
    "d5bV/mH5S32mth/pJ56QSL6p649rK1w6UB9dwkr1uGJXzGPnV/hmviaGiBOeyDPD8EVpZ/Bd6xLD5xbZQiNKmfRZFGPTQehB61qtDDrKG44zFIYG"
    "eNJ5xDR5sZom22ubA/977qxZsIPH67ieAV6XL/b4qpcpnGVH/lSuFZDZbHsKMsPXnm7A8hMSna503jpUB597JxnBSId10T2Ev3BiTYhpXgsROLzW"
    "r8YoSVu4msvAaEtKhO5wgfG5F58obHVYAf+7doCf8909ecDrhi50PB9kvEiIqsRDF0FSKd9arvIrxdg9T28yOEiRkTNn4kJCNmir1MM2x53XeRWP"
    "jkqWlDQPI/XguDni9qy/12fVoDzTjgn3GNR+VFRzhTpNMurd6suZN2QQ7WVVMcYa1dnk5dTLmfs97qycBoeaj5BfkIH60ieiGixRoSsESGtCij9g"
    "nlsqeWjR53IUjoWf7q6yegLHC54c9nztuffQh8+HZSH04SLkitdkc2dwTWukxKBzUKpk3/UkauLcJBwjFVHbkc5/ctko2hjLNEfDoqVhmdW2XMC3"
    "SpcFaNpS4BfawcKcr+OFVgGP5hnrWpRS7GLpx2HteuuwCdSC3mxJWtvjvnrrXlJzQU6eTdjaARzofEYzKYNS+hkngp8FtLFNM5pDmu0C1bSYxkuU"
    "sB6X4D6CY1c386k9FDt7Gxljzwc51zrEOyuSMFYfSpybVGHeijIj9bjTNeyiWZXTcT37EB3HREIWPZsrECiJ9OhEHjh1giQR8AtMtTpzvcW5WxqI"
    "XIqogjZ17A0wDg9PauuDou7DpuIEDvUsbacBg3lQg/xyDYiX4nCMo5z3mAXEjqj6XTrEtoN1xLj4DhOH3e1pTODphu9jyyEf+1NF+gbmhRNk6vPC"
    "x5flxYyCz7CLI5cTLhFe1WA4qQYnkINW1Y7Acl3ASSWwxhCnSCaDCOsnV7p6pdRaWEOjQJQ3LgbVOa7WaqEEEWDnEDdZcxSKn2QHoyI97/+4C3h2"
    "L2hAl/WPJpW8dTkK0nC2sUVv3W/f29/PdHqPM4oyhPSIpD2R5iVdQNuKCDScZx+xncv3lSruNmub+Q5M54uzxIOz5pGByoqtJscJOVbZaqaDKMCQ"
    "WxJRRJH+PX5hYiP+dEbH2HCljwI54NVNucPlDAUNrnqAQ6cPUr8iTOYCj1/Cuxd7VbPG6LeogEboJXxoq+wkLfwv8/jcw3A93SPV2vpT74nerbhP"
    "DcHzW84gNTxpcbDzyuA0wBxWMoooP9hH3LvhLzX1EuWMG/2vlZsnnccjdtPBXj7GA0SGRNvrVXR/jEjdgJj9mujKbXQzPnu6D9pww8Mgc9nYOmg+"
    "REb8+815trR8v6WEgDzxNjYGWcSiPwwoHkzztYjVlIBp5n+eb/zdq6+XkJFfioz8MGJlHyovk7V86hB/NK9ILhx9WgICl1Ee1UZirblMzA5SWqQu"
    "jJQC2GIARKg1RzrWcpSGiTrjX3dgPIurOfgcxjk5FrAjIzyucPYJTYc0q1vEVRRTzfshN1lv2IvLCB+K7O2CgsOgPSVKsGi0JMZzCrPXSdOaFCDk"
    "M4fUGdXgvWP7OJk8f2vtO3kX+ZrbZyADdXpxAMS7xBAYIyBF+dBCoHOCqqmLEDuC+WELKkVz32V8rT+/GpSJ7ljRvw3HqVNecPslK5VHnoaMW1WJ"
    "9y0Wjm3gLZOq+65OcCOlrjoGndYN1WIh4uWJvPOVQ2hl9DYVO1h7KICcSChC1WGbWmsE6vFMXQvvK3VMhaFqGhCH61IQ/5tBKlHcInHUpq8IcB5Q"
    "GhtarhM8Wd/bdp1rbOhPAb25ObLXF+kLC0J4pF2rsvfaJwdq6JQKt96sAAzm7P2/vClOxCxs3xmXqmJ0AztmEmOjNOy3IZnhp9FuUJ2XWps/ACP2"
    "bZkogO0VXbo6pvUlvznERWCncSoFM5E668nijn6Aq7r8R9qaSb4IBVD0Pl5CJQjLlCkMaNMTuxFGia5RlpjJb5l5/6Q7d8E72lnqbuXEO1RUdJx+"
    "aeKvbsomdfK0HnSOJXZNsow0VqOhyJ8E2wMaDm8sID/53HcESstHc3tJhPDoO2tWwJfqtOC4jEPgBDBwhR4eD6ByGnGdJQvT0QqmNAqdC13OOb+e"
    "gnGtL9wMpStRwyqLv8VXgKPx3+1wsXfx5+6A63gWA5qa32q0mldEiOLhPItZZEXRsH6GdYJQ2IafFuk5EVuWIbNsBsCSQmglbrlPtp2Mj5ifWPDd"
    "/6x8JvywSRLyJmy3WvtZnF5s0UkXEOMC/fYLbzPRCAYfewNHPL/N8TKdcJ3HFUvXhJljALQuBB7HKfxpixXIUwLlBTjPGgr1yhq6g4uaKNn3+L8v"
    "6j4BmDEa2oaxqWLTZh5HsitW5J7eO1s0NRHf+bo1zTo7UhNd3jFR/1unp6jqFq7HXAIrudm6nIVcL+T0En41Phafjoyv8QLguDDfAKjZG3d1SQCy"
    "12G/FRHv7lodP6oIDzb3eZILc5xGM3FVs/sIhoGpAxBO6tkgxwp0feRDX4iYM5O3yFH0TUwRRLcz+U4KQsaxTLr7BjPd2UQszWMXO99/wSI=";
constexpr const char* kScryptHeader =
    "restream-keystore/1\n"
    "id EBESExQVFhcYGRobHB0eHw==\n"
    "gen 18446744073709551615\n"
    "kek scrypt yMnKy8zNzs/Q0dLT1NXW1w== 15 8 1\n"
    "wrap MjM0NTY3ODk6Ozw9 QlIloHFal37qdqLowxlwBQU8d0jVA9o7vcsdUwMhpY9W0zu8Om/vmazyufHZpBN6\n"
    "body RkdISUpLTE1OT1BR\n"
    "---\n";
constexpr const char* kScryptBody =
    "ql7IGNsWRSO+UjK/K9Lg0erEUMMjuqcJKdPNIHfXW34qFcEHjKaY5o9VeKWIjawOuf9Zke92Tvez/qHgdpvT4seBlg4b7fkREj4NpJ6g9NnUWAKk"
    "HOUeuKO+hO8g3cBP5WI8Ts4WKOrIVoX2v9nmJBARy2KocebFWhQzOnUtS3ZmcOTs8U4qKlRrJCshpQuokvwVjKihFMN6LqaruGTomNKD/xnkMtv6"
    "6EI9BvQGIBPcSb833F4rQC2v+WfHbVPOTrOLWKpaPLErBoIj6ytN15U5UPN3Yv76lrOj43Pu+J95lkk/Kf+hVG8S5WfTyvX2g5lraLK/66nm3WJM"
    "Nb2514b3m+PtoYFHSyjyhR+2gPI5/Gw5ka4afP5eUyLT0gDe9va69MuiAELjx8XmpnizYZxMiRbmm88WkBrB7lT7qTVShoJW2t3JG2suVbuPLX2m"
    "ExYhKMGAc45smUH/jK9pXNk8zdDxqtw231o6BJ+nuhrJrrxeOSh48iqfItjDsaVVZYVJZAKOT9lCgpFWJd/ad+aFkIpbZxXsY5bsKexGK9jI9yLT"
    "OiNwvG/VHu0h1iTJX9ymiWt4f/UUZYhCSHDCFzXtoIFqdSblVYWDYxWF5MVAS4xe/aEnw95Q0k4RiZzfJ9vr1fkA4o3mLGj6YQHYIQlAK1RpHga/"
    "1qlso4Nu2PbUS09iZ5dk/r4eWPNxzJLhsv6oIVwPYH8/EVo85HLBX6UkZMmZv8zEvNxlZTiGVHW9embE8gYDXWVBXuvm4Nz0NrO/CVQ+F5QeOUVI"
    "XNeXSIf6but1puBQidX7WJv8/czWyUnRcw+CkKcD4b0urtFAnqqHY9ahMd67Gm7jGYlWX8nT9xml38uM+Z74KZpXIuVg0h1HQ0LtzjxksURToJ5j"
    "NB+i24w1XNJmZ1jz2909AwIbyysr+124+7sKmZmaRQ56Jpm7qSKtPja0fWuP5ZoqYlW4CRxrQAFMyJ3MjUtlFHaxxvmbN0QUtpIzoJ1/8VfhhabL"
    "c8GZaV5bWB92qMb7jMBM094H6OKchwXDKVEi61kvO7mTJipDKyaSmvTrrDmwb2+r2aPpUPCq7KOqcskRguqQz70DsDtxpyKlYu7zCkIz2RZPINcp"
    "it6VL21Gr+T7ZbpMUpbjz8S9vh+w4CNHlJyXQGkJD6YS9maQR28rkr9UIgzb0pLtOBg+aRR4/C+7UxlkFqXNjqJJgAshkc5CCEoNZ3R8AEm1GeaA"
    "lWLinlzO7iGu9jl9FHLj05JNaaQHro4BetZHougVZtJfZ5PSFFSJpARr8hYNtlM+Xtwji6L9DZbfBSOyrkDs2E8uTU/TmBuqPodZkT0syR+RLkIY"
    "576HKCYApz1ey9x2bxsLa2HkINdKNneM5raH2l5J7DzOy7STg2gNzfqLXOSO+LVjd7Cp5tic8fO8p1qcb07SlQs8B25R2vZtJrbRyWWMRUR0ff10"
    "lRZzIPw4naRewyUuU1W9TOL6lDkVAIrF3h8Dzmz3ZvTrzr0tbHvzdq0g514H/sMVie/Q5ECxaveOXcZ3VS9VDv+4NUZbi4s5YYO/vHiq4/XjQK0D"
    "sJoyX+cUO9Dzgdd0DTAqBxxm8nQqgQ+5IPAH2/583DvSRp2l4sBBKzSvuQ04RSxNlK4JBHIyDhrS2b/L1X/B+H7uTkNP6yRP9Z/R2hR+GmZWHQYg"
    "71rE37Zr8bKw8ldZvfCMHlTx8eIblIoKUSbIpXq9gOWqc35h1nY9l/Fix3og1mRTzE4DR+UJ03+FG7vapMSOByR7+FKVlll5g2reyzwPjn5Om9bK"
    "BrPFEJ/CjemC41Rb8CN4/8Bd4KuKrrDazWGm4VWk8mlvfeRaArW5JovW6E2BX3rkZLq25XKcCMUyEckJIQpfaaYUHszuiRqOIVocHGsgQI3lTqqq"
    "VCQFVy+fELHwzNe3w+6r6qRuQYw/Xsjgh1lcL8jX5PHiBdOBHRLgka+Rltfexgnb42zD7IHVD9vSqcLRdSTI/N4wnuFh2ZkOPScQULhlgmN39/By"
    "aV2MwYNrdAYWzNt9bXFykeFEIcno5cNBH5Id0LmHs4WHzMqfqGw7Nsepl899tCRtfVpXjWDU/eJOu75NELogbVM3lDN4kWXV/5JknaisnLJevhRg"
    "IMAjOkQ39zH0F/uZaakMbLCZ5vR14uWilmqkeQPuBKBPkSLIBQ4hErE8P33igC6WblH1ED4yhs+8ncn/Va21tjK4LiT3ZqI8HbhKZHZC/ZaSZzd5"
    "+Xs3X4rOCnM/BV6PW5ccmJy3OdNRW3JGmv4WBtOprCOTtQJASfTZpm5nn4zHUD2QPqIFZmATq148xCrTdBRdXl3IuyzZuyibf6+rlq+wv6OSeTiq"
    "J4x4zcRS6niBJKhTwyf3rb24b2HsdG/3oQD1Miqo9AH5SJEEhSI+j6huj2wW7whsc3RVAGfi5Fv3I7ZpsKQ/fkD0HfhGFWLqdndsm+KETBVClq58"
    "ZInDhhCEcFWMOlqCPCNMK00ohyhb1Abj0aMP7K3PqLyW0hU8JxGdMR+XcB77sqwH0l0CezB7YNFYvbxLnhhdE8HugzKuUTlBzGW8bi4adF8KmcLc"
    "MyT92tg7qRqIOZoY2GOL+1iV8+ZLVi3dBsSxTWAPWE0UmhsRqhp6gMpDarnNXfFkYJzVQvzH4dGR079QDx5jOgQ1PjBfvntD/lvlL+ppI8nv9CbO"
    "Zo/N0rbl1BtYaYTCYTHBA1dfphoLIOtU5RRPAAGG/pQt7r9dNY8le40dWJFnjv6kShkoT2qOiGDaZLLEIK4IO5OmuqaDUbqqpOp0uvfadlTzAGu4"
    "sKDQKFADMFF+2ZKGMEpj+m2nBI2MLSuSTou66jU6ZTGVrzqAKNNBk8pFJP0lsaVPvHzQ28Kc+RLIS1mdfaGfD3mSH/3wy1iJr2WaYJpyib8HDJ6F"
    "d5bV/mH5S32mth/pJ56QSL6p649rK1w6UB9dwkr1uGJXzGPnV/hmviaGiBOeyDPD8EVpZ/Bd6xLD5xbZQiNKmfRZFGPTQehB61qtDDrKG44zFIYG"
    "eNJ5xDR5sZom22ubA/977qxZsIPH67ieAV6XL/b4qpcpnGVH/lSuFZDZbHsKMsPXnm7A8hMSna503jpUB597JxnBSId10T2Ev3BiTYhpXgsROLzW"
    "r8YoSVu4msvAaEtKhO5wgfG5F58obHVYAf+7doCf8909ecDrhi50PB9kvEiIqsRDF0FSKd9arvIrxdg9T28yOEiRkTNn4kJCNmir1MM2x53XeRWP"
    "jkqWlDQPI/XguDni9qy/12fVoDzTjgn3GNR+VFRzhTpNMurd6suZN2QQ7WVVMcYa1dnk5dTLmfs97qycBoeaj5BfkIH60ieiGixRoSsESGtCij9g"
    "nlsqeWjR53IUjoWf7q6yegLHC54c9nztuffQh8+HZSH04SLkitdkc2dwTWukxKBzUKpk3/UkauLcJBwjFVHbkc5/ctko2hjLNEfDoqVhmdW2XMC3"
    "SpcFaNpS4BfawcKcr+OFVgGP5hnrWpRS7GLpx2HteuuwCdSC3mxJWtvjvnrrXlJzQU6eTdjaARzofEYzKYNS+hkngp8FtLFNM5pDmu0C1bSYxkuU"
    "sB6X4D6CY1c386k9FDt7Gxljzwc51zrEOyuSMFYfSpybVGHeijIj9bjTNeyiWZXTcT37EB3HREIWPZsrECiJ9OhEHjh1giQR8AtMtTpzvcW5WxqI"
    "XIqogjZ17A0wDg9PauuDou7DpuIEDvUsbacBg3lQg/xyDYiX4nCMo5z3mAXEjqj6XTrEtoN1xLj4DhOH3e1pTODphu9jyyEf+1NF+gbmhRNk6vPC"
    "x5flxYyCz7CLI5cTLhFe1WA4qQYnkINW1Y7Acl3ASSWwxhCnSCaDCOsnV7p6pdRaWEOjQJQ3LgbVOa7WaqEEEWDnEDdZcxSKn2QHoyI97/+4C3h2"
    "L2hAl/WPJpW8dTkK0nC2sUVv3W/f29/PdHqPM4oyhPSIpD2R5iVdQNuKCDScZx+xncv3lSruNmub+Q5M54uzxIOz5pGByoqtJscJOVbZaqaDKMCQ"
    "WxJRRJH+PX5hYiP+dEbH2HCljwI54NVNucPlDAUNrnqAQ6cPUr8iTOYCj1/Cuxd7VbPG6LeogEboJXxoq+wkLfwv8/jcw3A93SPV2vpT74nerbhP"
    "DcHzW84gNTxpcbDzyuA0wBxWMoooP9hH3LvhLzX1EuWMG/2vlZsnnccjdtPBXj7GA0SGRNvrVXR/jEjdgJj9mujKbXQzPnu6D9pww8Mgc9nYOmg+"
    "REb8+815trR8v6WEgDzxNjYGWcSiPwwoHkzztYjVlIBp5n+eb/zdq6+XkJFfioz8MGJlHyovk7V86hB/NK9ILhx9WgICl1Ee1UZirblMzA5SWqQu"
    "jJQC2GIARKg1RzrWcpSGiTrjX3dgPIurOfgcxjk5FrAjIzyucPYJTYc0q1vEVRRTzfshN1lv2IvLCB+K7O2CgsOgPSVKsGi0JMZzCrPXSdOaFCDk"
    "M4fUGdXgvWP7OJk8f2vtO3kX+ZrbZyADdXpxAMS7xBAYIyBF+dBCoHOCqqmLEDuC+WELKkVz32V8rT+/GpSJ7ljRvw3HqVNecPslK5VHnoaMW1WJ"
    "9y0Wjm3gLZOq+65OcCOlrjoGndYN1WIh4uWJvPOVQ2hl9DYVO1h7KICcSChC1WGbWmsE6vFMXQvvK3VMhaFqGhCH61IQ/5tBKlHcInHUpq8IcB5Q"
    "GhtarhM8Wd/bdp1rbOhPAb25ObLXF+kLC0J4pF2rsvfaJwdq6JQKt96sAAzm7P2/vClOxCxs3xmXqmJ0AztmEmOjNOy3IZnhp9FuUJ2XWps/ACP2"
    "bZkogO0VXbo6pvUlvznERWCncSoFM5E668nijn6Aq7r8R9qaSb4IBVD0Pl5CJQjLlCkMaNMTuxFGia5RlpjJb5l5/6Q7d8E72lnqbuXEO1RUdJx+"
    "aeKvbsomdfK0HnSOJXZNsow0VqOhyJ8E2wMaDm8sID/53HcESstHc3tJhPDoO2tWwJfqtOC4jEPgBDBwhR4eD6ByGnGdJQvT0QqmNAqdC13OOb+e"
    "gnGtL9wMpStRwyqLv8VXgKPx3+1wsXfx5+6A63gWA5qa32q0mldEiOLhPItZZEXRsH6GdYJQ2IafFuk5EVuWIbNsBsCSQmglbrlPtp2Mj5ifWPDd"
    "/6x8JvywSRLyJmy3WvtZnF5s0UkXEOMC/fYLbzPRCAYfewNHPL/N8TKdcJ3HFUvXhJljALQuBB7HKfxpixXIUwLlBTjPGgr1yhq6g4uaKNn3+L8v"
    "6j4BmDEa2oaxqWLTZh5HsitW5J7eO1s0NRHf+bo1zTo7UhNd3jFR/1unp6jqFq7HXAIrudm6nIVcL+T0En41Phafjoyv8QLguDDfAKjZG3d1SQCy"
    "12G/FRHv7lodP6oIDzb3eZILc5xGM3FVs/sIhoGpAxBO6tkgxwp0feRDX4iYM5O3yFH0TUwRRLcz+U4KQsaxTO3tkEymbFtw2VwqMtKQYUw=";
// clang-format on

std::string decode(std::string_view text, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  REQUIRE(keys::base64_decode(text, bytes));
  return {bytes.begin(), bytes.end()};
}

// Master key and id of the vectors: bytes that count up.
std::vector<std::uint8_t> counting(std::uint8_t from, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(from + i);
  return bytes;
}

}  // namespace

TEST_CASE("a keystore that another implementation sealed under a raw key opens") {
  const std::string file = kRawHeader + decode(kRawBody, 4096 + 16);
  const auto opened = keys::unseal_store(file, "vector", raw_key(counting(0, 32)));
  REQUIRE(opened);
  CHECK(opened->store.gen == 7);
  CHECK(std::ranges::equal(opened->store.id, counting(16, 16)));
  CHECK(keys::find_key(opened->store, "nyt-top", "api-key")->view() == "from another implementation");
  CHECK(keys::find_key(opened->store, "twitter-status", "secret")->view() == "n\u00e4\u00efve \"quoted\"\n");
  CHECK(keys::count_keys(opened->store.entries) == 2);
  // What is printed from what was read is the same text.
  CHECK(keys::print_header(opened->header) == kRawHeader);
}

TEST_CASE("a keystore that another implementation sealed under a passphrase opens") {
  const std::string file = kScryptHeader + decode(kScryptBody, 4096 + 16);
  const auto opened = keys::unseal_store(file, "vector", keys::passphrase_key(Secret::copy_of("correct horse")));
  REQUIRE(opened);
  CHECK(opened->store.gen == 18446744073709551615ULL);
  CHECK(keys::find_key(opened->store, "a", "k")->view() == "v");
  CHECK_FALSE(keys::unseal_store(file, "vector", keys::passphrase_key(Secret::copy_of("correct horsf"))));
}

}  // namespace keys_test
