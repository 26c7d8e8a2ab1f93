#!/bin/sh
# The runs that scores.py asks: 400 steps in slices at half resolution, both methods, draws 1 to 3, two repeats of each.
#   sh benchmarks/quality/runs.sh hippocampus 1; sh benchmarks/quality/runs.sh hippocampus 5
#   sh benchmarks/quality/runs.sh lgg 4; sh benchmarks/quality/runs.sh acdc 6
# Prepared folders as in benchmarks/strength. Repeats have the same labelled cases; what is finished is left as it is.
set -eu
export OMP_NUM_THREADS=1
set_name=$1 count=$2
case $set_name in
    hippocampus) shape="--patch_size 28,20 --network.stages 3" ;;
    lgg) shape="--patch_size 32,32 --network.stages 4" ;;
    acdc) shape="--patch_size 48,48 --network.stages 4" ;;
    *) echo "got $set_name; expected hippocampus, lgg or acdc" >&2; exit 2 ;;
esac
for repeat in 0 1; do
    for draw in 1 2 3; do
        for method in supervised equireg; do
            out=work/quality-runs-$set_name-$count/seed$draw-$method-$repeat
            resume=""
            [ ! -e "$out" ] || resume=--resume # a finished run ends at once, one that was stopped goes on
            equireg train "work/strength-small-$set_name" --out "$out" --method "$method" --seed "$draw" --repeat "$repeat" \
                --sup_cases "$count" --spatial_dims 2 $shape --network.name unet --network.features 8 \
                --network.norm instance --network.max_features 320 --batch_size 8 --unsup_ratio 1 --max_steps 400 \
                --val_every 100000 --pictures_every 0 --logger none $resume
        done
    done
done
