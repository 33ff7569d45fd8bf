"""Make data/co2_mauna_loa.csv from the weekly CO2 series that statsmodels ships.

Monthly mean of the weekly values (a week counts to the month of its date), then
linear interpolation over the month number for the months without any value.
Prints the months that were interpolated.

    pip install statsmodels pandas
    python data/make_co2.py
"""

import pathlib

from statsmodels.datasets import co2

OUT = pathlib.Path(__file__).resolve().parent / "co2_mauna_loa.csv"


def main():
    weekly = co2.load_pandas().data["co2"]
    monthly = weekly.resample("MS").mean()
    missing = monthly.index[monthly.isna()]
    monthly = monthly.interpolate("linear")
    with open(OUT, "w", newline="\n") as f:
        f.write("year,month,co2_ppm\n")
        for day, ppm in monthly.items():
            f.write(f"{day.year},{day.month},{ppm:.3f}\n")
    print(f"{len(monthly)} months, {len(missing)} interpolated:",
          ", ".join(f"{d:%Y-%m}" for d in missing))


if __name__ == "__main__":
    main()
